// SPDX-License-Identifier: Apache-2.0

package check

import (
	"bufio"
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"podgate/haproxy"
	"podgate/haproxy/cfgfile"
)

// timeout limits one "haproxy -c". It takes about as long as a reload, which is
// seconds for the largest configurations.
const timeout = time.Minute

// HAProxy is a haproxy binary and the operator's files, which it loads before
// podgate's folder. It may be used concurrently.
type HAProxy struct {
	Binary string
	Files  []string
}

// State reports whether HAProxy would load s together with the operator's files.
// It renders s into a temporary folder. Certificates of s are not checked, see
// Certificates. The error is a *RejectedError if HAProxy complains about podgate's
// configuration, and an *OperatorError if it complains only about other files.
func (h HAProxy) State(ctx context.Context, s haproxy.State) error {
	staging, err := os.MkdirTemp("", "podgate-check-")
	if err != nil {
		return fmt.Errorf("check configuration: %w", err)
	}
	defer os.RemoveAll(staging)
	files, err := cfgfile.Render(s.WithoutDefaultCertificate(), staging) // the crt-list is empty
	if err != nil {
		return fmt.Errorf("check configuration: %w", err)
	}
	texts := maps.Clone(files.Maps)
	texts[cfgfile.ServerStateFile] = cfgfile.EmptyServerState()
	if files.CrtList != nil {
		texts[cfgfile.CrtListFile] = nil
		texts[cfgfile.TicketKeysFile] = zeroTicketKeys()
	}
	for name, text := range texts {
		if err := os.WriteFile(filepath.Join(staging, name), text, 0o600); err != nil {
			return fmt.Errorf("check configuration: %w", err)
		}
	}
	path := filepath.Join(staging, cfgfile.ConfigFile)
	if err := writeConfig(files, path); err != nil {
		return fmt.Errorf("check configuration: %w", err)
	}
	out, err := h.load(ctx, staging)
	if rejected, ok := errors.AsType[*RejectedError](err); ok {
		rejected.Backends = blamed(out, path, s)
	}
	return err
}

// writeConfig writes ConfigFile in parts, because it may be megabytes.
func writeConfig(files cfgfile.Files, path string) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	to := bufio.NewWriterSize(file, 64<<10)
	return errors.Join(files.WriteConfig(to), to.Flush(), file.Close())
}

// zeroTicketKeys returns a valid "tls-ticket-keys" file, for checks only.
func zeroTicketKeys() []byte {
	const size, count = 80, 3 // AES-256 keys; HAProxy requires at least three
	key := base64.StdEncoding.EncodeToString(make([]byte, size))
	return []byte(strings.Repeat(key+"\n", count))
}

// Certificates reports whether HAProxy would load these certificates. It writes
// them into a temporary folder inside folder, which holds podgate's keys already:
// keys are written nowhere else. Its errors are those of State.
func (h HAProxy) Certificates(ctx context.Context, folder string, certificates []haproxy.Certificate) error {
	staging, err := os.MkdirTemp(folder, cfgfile.StagingPrefix)
	if err != nil {
		return fmt.Errorf("check certificates: %w", err)
	}
	defer os.RemoveAll(staging)
	if err := os.Mkdir(filepath.Join(staging, cfgfile.CertificateFolder), 0o700); err != nil {
		return fmt.Errorf("check certificates: %w", err)
	}
	s := haproxy.State{Frontends: []haproxy.Frontend{{Name: "check", TLS: haproxy.Termination{MinVersion: "TLSv1.2"}}}}
	for _, c := range certificates {
		s.Certificates = append(s.Certificates, haproxy.Certificate{Name: c.Name, Serves: []string{cmp.Or(strings.Join(c.Serves[:min(1, len(c.Serves))], ""), cfgfile.DefaultMark)}})
		if err := os.WriteFile(cfgfile.CertificatePath(staging, c.Name), c.PEM, 0o600); err != nil {
			return fmt.Errorf("check certificates: %w", err)
		}
	}
	crtList, err := cfgfile.RenderCrtList(s, staging)
	if err != nil {
		return err
	}
	list, config := filepath.Join(staging, cfgfile.CrtListFile), filepath.Join(staging, cfgfile.ConfigFile)
	text := "defaults\n  mode tcp\n  timeout client 1s\nfrontend check\n  bind 127.0.0.1:1 ssl crt-list " + list + "\n"
	if err := errors.Join(os.WriteFile(list, crtList, 0o600), os.WriteFile(config, []byte(text), 0o600)); err != nil {
		return fmt.Errorf("check certificates: %w", err)
	}
	return HAProxy{Binary: h.Binary}.Folder(ctx, staging)
}

// Folder reports whether HAProxy would load the operator's files together with
// the configuration in folder. Its errors are those of State.
func (h HAProxy) Folder(ctx context.Context, folder string) error {
	_, err := h.load(ctx, folder)
	return err
}

// load is Folder. It also returns HAProxy's output.
func (h HAProxy) load(ctx context.Context, folder string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	args := []string{"-c"}
	for _, file := range h.Files {
		args = append(args, "-f", file)
	}
	args = append(args, "-f", folder)
	out, err := exec.CommandContext(ctx, h.Binary, args...).CombinedOutput()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return string(out), nil
	case !errors.As(err, &exit):
		return "", fmt.Errorf("check configuration: %w (is haproxy.binary right?)", err)
	}
	output := alerts(string(out))
	if !strings.Contains(output, folder) {
		return string(out), &OperatorError{output}
	}
	return string(out), &RejectedError{Output: strings.ReplaceAll(output, folder+string(filepath.Separator), "")}
}

// RejectedError is returned if "haproxy -c" rejects what podgate would write.
type RejectedError struct {
	Output string
	// Backends are those that HAProxy's messages refer to, sorted. They may be too many or
	// too few, and only State sets them.
	Backends []string
}

// Error includes HAProxy's alerts.
func (e *RejectedError) Error() string {
	return "check configuration: haproxy -c rejects podgate's configuration: " + e.Output
}

// OperatorError is returned if "haproxy -c" rejects files that podgate does not
// write.
type OperatorError struct{ Output string }

// Error includes HAProxy's alerts.
func (e *OperatorError) Error() string {
	return "check configuration: haproxy -c rejects the operator's files: " + e.Output
}

// alerts returns the first few alerts in the output of "haproxy -c", without their
// prefix, on one line. Without any alert it returns the whole output.
func alerts(out string) string {
	var alerts []string
	for line := range strings.Lines(out) {
		level, text, ok := strings.Cut(line, " : ")
		if ok && strings.HasPrefix(level, "[ALERT]") {
			alerts = append(alerts, strings.TrimSpace(text))
		}
	}
	if len(alerts) == 0 {
		return strings.Join(strings.Fields(out), " ")
	}
	const most = 4
	if len(alerts) > most {
		alerts = append(alerts[:most], fmt.Sprintf("and %d more", len(alerts)-most))
	}
	return strings.Join(alerts, "; ")
}
