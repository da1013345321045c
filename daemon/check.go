// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"podgate/daemon/config"
	"podgate/haproxy"
	"podgate/haproxy/cfgfile"
	"podgate/haproxy/runtime"
)

// checkTimeout bounds one "haproxy -c": it takes about as long as a reload,
// which is seconds for the largest configurations.
const checkTimeout = time.Minute

// Check asks HAProxy's own binary whether it would load s together with the
// operator's files. Nothing that HAProxy reads is touched. The error tells what
// it says, and whose file it says it of.
func Check(ctx context.Context, h config.HAProxy, s haproxy.State) error {
	staging, err := os.MkdirTemp("", "podgate-check-")
	if err != nil {
		return fmt.Errorf("check configuration: %w", err)
	}
	defer os.RemoveAll(staging)
	files, err := cfgfile.Render(s.WithoutDefaultCertificate(), staging) // there are no certificates in it
	if err != nil {
		return fmt.Errorf("check configuration: %w", err)
	}
	texts := maps.Clone(files.Maps)
	texts[cfgfile.ServerStateFile] = runtime.EmptyStateFile()
	texts[cfgfile.ConfigFile] = files.Config()
	if files.CrtList != nil { // certificates are vetted by themselves
		texts[cfgfile.CrtListFile] = nil
		texts[cfgfile.TicketKeysFile] = newTicketKeys()
	}
	for name, text := range texts { // none of which need outlast a power cut
		if err := os.WriteFile(filepath.Join(staging, name), text, 0o600); err != nil {
			return fmt.Errorf("check configuration: %w", err)
		}
	}
	return checkFiles(ctx, h, staging)
}

// CheckFolder is Check of what stands in the folder of ours.
func CheckFolder(ctx context.Context, h config.HAProxy) error { return checkFiles(ctx, h, h.Folder) }

func checkFiles(ctx context.Context, h config.HAProxy, staging string) error {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	args := []string{"-c"}
	for _, file := range h.Files {
		args = append(args, "-f", file)
	}
	args = append(args, "-f", staging)
	out, err := exec.CommandContext(ctx, h.Binary, args...).CombinedOutput()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &exit):
		return fmt.Errorf("check configuration: %w (is haproxy.binary right?)", err)
	}
	said := alerts(string(out))
	if !strings.Contains(said, staging) {
		return &OperatorError{said}
	}
	said = strings.ReplaceAll(said, staging+string(filepath.Separator), "")
	return &refusedError{said}
}

// refusedError is what "haproxy -c" has against what we would write.
type refusedError struct{ said string }

func (e *refusedError) Error() string {
	return "check configuration: haproxy -c refuses what podgate would write: " + e.said
}

// OperatorError is what "haproxy -c" has against the files that are not ours.
type OperatorError struct{ Said string }

// Error repeats what HAProxy said.
func (e *OperatorError) Error() string {
	return "check configuration: haproxy -c refuses the operator's files: " + e.Said
}

// alerts are the lines of "haproxy -c" that say why, without their prefix, on
// one line.
func alerts(out string) string {
	var said []string
	for line := range strings.Lines(out) {
		level, text, ok := strings.Cut(line, " : ")
		if ok && strings.HasPrefix(level, "[ALERT]") {
			said = append(said, strings.TrimSpace(text))
		}
	}
	if len(said) == 0 {
		return strings.Join(strings.Fields(out), " ")
	}
	const most = 4
	if len(said) > most {
		said = append(said[:most], fmt.Sprintf("and %d more", len(said)-most))
	}
	return strings.Join(said, "; ")
}
