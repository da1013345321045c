// SPDX-License-Identifier: Apache-2.0

package setup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"podgate/daemon/config"
)

// Session carries out what the operator asks for, and says so.
type Session struct {
	Host     *Host
	Out, Err io.Writer // what is done; what the operator should know or settle
}

// errProblems ends a session in which nothing was changed.
var errProblems = errors.New("nothing was changed")

// Print writes the drop-in to Out, and to Err what Do would do.
func (s *Session) Print(ctx context.Context, c *config.Config) error {
	p, err := s.plan(ctx, c)
	if err != nil {
		return err
	}
	fmt.Fprint(s.Out, p.Dropin)
	for _, step := range p.todo() {
		fmt.Fprintln(s.Err, "to do:", step)
	}
	if len(p.Problems) > 0 {
		return errProblems
	}
	return nil
}

// Check tells what is left to do, and reports whether that is nothing.
func (s *Session) Check(ctx context.Context, c *config.Config) (bool, error) {
	p, err := s.plan(ctx, c)
	if err != nil {
		return false, err
	}
	for _, step := range p.todo() {
		fmt.Fprintln(s.Err, "to do:", step)
	}
	return p.Done(), nil
}

// Do sets haproxy.service up. Where there are problems it changes nothing.
func (s *Session) Do(ctx context.Context, c *config.Config, restart bool) error {
	p, err := s.plan(ctx, c)
	if err != nil {
		return err
	}
	if len(p.Problems) > 0 {
		return errProblems
	}
	if err := s.Host.Apply(ctx, p, s.told); err != nil {
		return err
	}
	switch {
	case p.Loaded:
		s.told("HAProxy runs with podgate's folder and master CLI")
	case restart:
		return s.Host.Restart(ctx, s.told)
	default:
		s.told(p.restartStep())
	}
	return nil
}

// Undo takes away what Do wrote. The folder stays for the HAProxy that runs.
func (s *Session) Undo(ctx context.Context, c *config.Config, restart bool) error {
	removed, err := s.Host.Undo(ctx, s.told)
	if err != nil {
		return err
	}
	p, err := s.Host.Plan(ctx, c)
	if err != nil {
		return err
	}
	service, err := s.Host.readService()
	if err != nil {
		return err
	}
	if v := service.variables[options]; loads(slices.Concat(service.exec, strings.Fields(v.value)), p.folder) {
		fmt.Fprintf(s.Err, "note: %s still has HAProxy load %s\n", v.file, p.folder)
	}
	switch {
	case !removed && !p.Loaded:
		s.told("there is nothing to undo")
	case !p.Loaded:
	case restart:
		if err := s.Host.check(ctx, c); err != nil {
			return fmt.Errorf("HAProxy is not restarted: %w", err)
		}
		return s.Host.Restart(ctx, s.told)
	default:
		s.told("HAProxy serves on as it was started; \"systemctl restart haproxy\" ends what podgate set up")
	}
	return nil
}

func (s *Session) told(step string) { fmt.Fprintln(s.Out, step) }

// plan makes the Plan and tells its notes and problems.
func (s *Session) plan(ctx context.Context, c *config.Config) (*Plan, error) {
	p, err := s.Host.Plan(ctx, c)
	if err != nil {
		return nil, err
	}
	for _, note := range p.Notes {
		fmt.Fprintln(s.Err, "note:", note)
	}
	for _, problem := range p.Problems {
		fmt.Fprintln(s.Err, problem)
	}
	return p, nil
}

// todo are the steps that are left.
func (p *Plan) todo() []string {
	var steps []string
	if !p.Folder {
		steps = append(steps, "make "+p.folder+", for podgate to write and group haproxy to read")
	}
	if !p.Written {
		verb := "write "
		if p.Dropin == "" {
			verb = "remove "
		}
		steps = append(steps, verb+dropinFile+", and run systemctl daemon-reload")
	}
	if !p.Loaded {
		steps = append(steps, p.restartStep())
	}
	return steps
}

// restartStep is what only the operator decides.
func (p *Plan) restartStep() string {
	if !p.Running {
		return "HAProxy does not run: systemctl start haproxy"
	}
	return "HAProxy runs without it yet: systemctl restart haproxy, which cuts its connections, once"
}
