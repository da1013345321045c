// SPDX-License-Identifier: Apache-2.0

package setup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"podgate/daemon/config"
)

// Host is the machine to set up. Its methods may not be called concurrently.
type Host struct {
	Out, Err io.Writer // what was changed; notes and problems for the operator

	Root string // prefix of every path, for tests; "" is this machine
	// Run runs a command, which is always systemctl; nil runs it on this machine.
	Run func(ctx context.Context, name string, args ...string) error
	// Validate checks the configuration of HAProxy; nil runs "haproxy -c".
	Validate func(ctx context.Context, c *config.Config) error
}

func (h *Host) path(p string) string { return filepath.Join("/", h.Root, p) }

// errProblems is returned if nothing was changed because of problems.
var errProblems = errors.New("nothing was changed")

// Print writes the drop-in to Out, and the steps of Apply to Err.
func (h *Host) Print(ctx context.Context, c *config.Config) error {
	p, err := h.plan(ctx, c)
	if err != nil {
		return err
	}
	fmt.Fprint(h.Out, p.Dropin)
	h.printSteps(p)
	if len(p.Problems) > 0 {
		return errProblems
	}
	return nil
}

// Check writes the remaining steps to Err, and reports whether setup is complete.
func (h *Host) Check(ctx context.Context, c *config.Config) (bool, error) {
	p, err := h.plan(ctx, c)
	if err != nil {
		return false, err
	}
	h.printSteps(p)
	return p.Done(), nil
}

// Apply sets up haproxy.service, and writes each step to Out. If there are problems,
// it changes nothing. It may be called again after an error.
func (h *Host) Apply(ctx context.Context, c *config.Config, restart bool) error {
	p, err := h.plan(ctx, c)
	if err != nil {
		return err
	}
	if len(p.Problems) > 0 {
		return errProblems
	}
	if err := h.writeFiles(ctx, p); err != nil {
		return err
	}
	switch {
	case p.Loaded:
		h.done("HAProxy runs with podgate's folder and master CLI")
	case restart:
		return h.restart(ctx)
	default:
		h.done(p.restartStep())
	}
	return nil
}

// Undo removes the drop-in. podgate's folder stays, because HAProxy may still use it.
func (h *Host) Undo(ctx context.Context, c *config.Config, restart bool) error {
	_, err := os.Lstat(h.path(dropinFile))
	removed := !errors.Is(err, fs.ErrNotExist)
	if removed {
		if err := h.removeDropin(ctx); err != nil {
			return err
		}
	}
	p, err := h.Plan(ctx, c)
	if err != nil {
		return err
	}
	service, err := h.readService()
	if err != nil {
		return err
	}
	if v := service.variables[options]; loads(slices.Concat(service.exec, strings.Fields(v.value)), p.folder) {
		fmt.Fprintf(h.Err, "note: %s still has HAProxy load %s\n", v.file, p.folder)
	}
	switch {
	case !removed && !p.Loaded:
		h.done("there is nothing to undo")
	case !p.Loaded:
	case restart:
		if err := h.validate(ctx, c); err != nil {
			return fmt.Errorf("HAProxy is not restarted: %w", err)
		}
		return h.restart(ctx)
	default:
		h.done("HAProxy still runs with the drop-in's options until \"systemctl restart haproxy\"")
	}
	return nil
}

func (h *Host) done(step string) { fmt.Fprintln(h.Out, step) }

// plan is Plan, and writes its notes and problems to Err.
func (h *Host) plan(ctx context.Context, c *config.Config) (*Plan, error) {
	p, err := h.Plan(ctx, c)
	if err != nil {
		return nil, err
	}
	for _, note := range p.Notes {
		fmt.Fprintln(h.Err, "note:", note)
	}
	for _, problem := range p.Problems {
		fmt.Fprintln(h.Err, problem)
	}
	return p, nil
}

// printSteps writes the remaining steps to Err.
func (h *Host) printSteps(p *Plan) {
	step := func(text string) { fmt.Fprintln(h.Err, "to do:", text) }
	if !p.Folder {
		step("create " + p.folder + ", writable for podgate and readable for group haproxy")
	}
	if !p.Written {
		verb := "write "
		if p.Dropin == "" {
			verb = "remove "
		}
		step(verb + dropinFile + ", and run systemctl daemon-reload")
	}
	if !p.Loaded {
		step(p.restartStep())
	}
}

// restartStep is the step that only the operator can decide on.
func (p *Plan) restartStep() string {
	if !p.Running {
		return "HAProxy does not run: systemctl start haproxy"
	}
	return "HAProxy runs without the drop-in: systemctl restart haproxy, which closes its connections once"
}
