// SPDX-License-Identifier: Apache-2.0

package haproxytest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	startTimeout = 15 * time.Second
	stopTimeout  = 3 * time.Second
	pollInterval = 5 * time.Millisecond
	logTail      = 4 << 10
)

// process is a running master. Its workers are in its process group.
type process struct {
	pid  int
	done chan struct{} // closed by run once the process has ended
	once sync.Once     // for stop: later the pid may belong to another process
}

func (h *HAProxy) start(ctx context.Context) error {
	log, err := os.OpenFile(h.logFile(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(h.binary, append([]string{"-W", "-S", h.Master, "-f", h.Base, "-f", h.Folder}, h.args...)...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	if h.process, err = run(cmd); err != nil {
		return err
	}
	if err := h.process.await(ctx, h.Admin, h.Master); err != nil {
		h.process.stop()
		return fmt.Errorf("start %s: %w\n%s", h.binary, err, h.Log())
	}
	return nil
}

// run starts cmd on a thread that lives as long as the process, because Pdeathsig,
// which ends HAProxy when a test is killed, signals the end of that thread.
func run(cmd *exec.Cmd) (*process, error) {
	p := &process{done: make(chan struct{})}
	started := make(chan error)
	go func() {
		defer close(p.done)
		runtime.LockOSThread() // never unlocked
		err := cmd.Start()
		if err == nil {
			p.pid = cmd.Process.Pid
		}
		started <- err
		if err == nil {
			_ = cmd.Wait() // the log contains the reason
		}
	}()
	return p, <-started
}

// await returns when a worker answers on its socket, and so does the master, which
// opens its socket later.
func (p *process) await(ctx context.Context, admin, master string) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	_, err := p.askUntil(ctx, admin, "show info", "Pid: ")
	if err == nil {
		_, err = p.askUntil(ctx, master, "show proc;quit", "#<PID>")
	}
	return err
}

// askUntil repeats ask until it is answered, the process has ended or ctx ends.
func (p *process) askUntil(ctx context.Context, socket, command, prefix string) (string, error) {
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		reply, err := ask(ctx, socket, command, prefix)
		if err == nil {
			return reply, nil
		}
		select {
		case <-tick.C:
		case <-p.done:
			return "", errors.New("the process ended")
		case <-ctx.Done():
			return "", fmt.Errorf("%w: %w", context.Cause(ctx), err)
		}
	}
}

// stop ends the master, which ends its workers, and then the remaining processes of
// its group, which are old workers with connections.
func (p *process) stop() { p.once.Do(p.end) }

func (p *process) end() {
	select {
	case <-p.done:
	default:
		_ = syscall.Kill(p.pid, syscall.SIGTERM)
	}
	timeout := time.NewTimer(stopTimeout)
	defer timeout.Stop()
	select {
	case <-p.done:
	case <-timeout.C:
	}
	_ = syscall.Kill(-p.pid, syscall.SIGKILL)
	<-p.done
}

// KillWorker kills the serving worker and returns when the master has ended, which it
// does without a worker. Restart starts HAProxy again.
func (h *HAProxy) KillWorker() error {
	pid := h.Pid()
	if pid == 0 {
		return errors.New("no worker answers")
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		return err
	}
	<-h.process.done
	return nil
}

// SignalReload sends the master the signal of "systemctl reload haproxy", and does not
// wait for the reload.
func (h *HAProxy) SignalReload() error { return syscall.Kill(h.process.pid, syscall.SIGUSR2) }

// KillMaster kills the master and then its workers, as the unit of HAProxy does.
// Restart starts HAProxy again.
func (h *HAProxy) KillMaster() error {
	select {
	case <-h.process.done: // the pid may belong to another process
	default:
		if err := syscall.Kill(h.process.pid, syscall.SIGKILL); err != nil {
			return err
		}
	}
	h.process.stop()
	return nil
}

// ask sends the command and returns the text after prefix in the first line of the
// reply that begins with prefix.
func ask(ctx context.Context, socket, command, prefix string) (string, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", socket)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			return "", err
		}
	}
	if _, err := io.WriteString(conn, command+"\n"); err != nil {
		return "", err
	}
	lines := bufio.NewScanner(conn)
	for lines.Scan() {
		if rest, ok := strings.CutPrefix(lines.Text(), prefix); ok {
			return rest, nil
		}
	}
	return "", errors.Join(lines.Err(), fmt.Errorf("%s: no line of %q begins with %q", socket, command, prefix))
}

func tail(path string) string {
	content, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return string(content[max(0, len(content)-logTail):])
}
