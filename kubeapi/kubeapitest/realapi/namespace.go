// SPDX-License-Identifier: Apache-2.0

package realapi

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// insideEnv marks the run of the test in its own network namespace.
const insideEnv = "PODGATE_CONFORMANCE_INSIDE"

// InNamespace reports whether the test runs in a network namespace of its own, and makes
// these ranges local there: the API server rejects loopback addresses in EndpointSlices,
// so pods need other ones. Outside of such a namespace it runs the same test again in one,
// which decides whether this run fails, and returns false: the caller returns. If
// namespaces are not allowed, the test is skipped, or fails if $CI is set.
func InNamespace(t *testing.T, ranges ...string) bool {
	t.Helper()
	if os.Getenv(insideEnv) == "" {
		runInNamespace(t)
		return false
	}
	if err := Local(ranges...); err != nil {
		t.Fatal(err)
	}
	return true
}

// Local makes loopback and these ranges local in the network namespace of the caller.
func Local(ranges ...string) error {
	lines := []string{"ip link set lo up"}
	for _, r := range ranges {
		lines = append(lines, "ip route add local "+r+" dev lo")
	}
	for _, line := range lines {
		args := strings.Fields(line)
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %v: %s(is iproute2 installed?)", line, err, out)
		}
	}
	return nil
}

// runInNamespace runs the same test in a network namespace of its own.
func runInNamespace(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"-test.run=^" + t.Name() + "$", "-test.count=1"}
	// Parallel tests wait for the control plane and not for a processor.
	args = append(args, "-test.parallel=32")
	if testing.Verbose() {
		args = append(args, "-test.v")
	}
	if end, ok := t.Deadline(); ok {
		args = append(args, "-test.timeout="+time.Until(end).String())
	}
	cmd := exec.CommandContext(t.Context(), self, args...)
	cmd.Env = append(os.Environ(), insideEnv+"=1")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	switch err := RunApart(cmd); {
	case errors.Is(err, fs.ErrPermission) && os.Getenv("CI") == "":
		t.Skip(err)
	case err != nil:
		t.Fatal(err)
	}
}

// RunApart runs cmd in a network namespace of its own, which needs root or a user
// namespace. The process ends with its parent.
func RunApart(cmd *exec.Cmd) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNET,
		Pdeathsig:  syscall.SIGKILL,
	}
	if os.Getuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}}
	}
	err := cmd.Run()
	switch {
	case errors.Is(err, syscall.EPERM), errors.Is(err, syscall.EACCES):
		return fmt.Errorf("make a network namespace: %w (run as root, or allow unprivileged user namespaces: "+
			"sysctl kernel.unprivileged_userns_clone=1, kernel.apparmor_restrict_unprivileged_userns=0)", err)
	case err != nil:
		return fmt.Errorf("the run in the network namespace: %v", err)
	}
	return nil
}
