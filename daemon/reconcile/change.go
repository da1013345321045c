// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"podgate/haproxy"
	"podgate/haproxy/cfgfile"
	"podgate/haproxy/runtime"
)

// changePatience is how long a change that began may continue after the ctx of
// Reconcile has ended: it is read back, so that the files contain it.
const changePatience = 5 * time.Second

// change applies what the runtime API can change. A part that HAProxy rejects does not
// stop the other parts, and is returned as rejected. An error means that HAProxy did not
// answer.
func (r *Reconciler) change(ctx context.Context, session *runtime.Session, want haproxy.State, result *Result) (rejected, err error) {
	if !r.ours {
		return nil, nil
	}
	r.have.Unwritten = r.unwrittenSpares()
	deletes, deleting := r.deletes.due(r.now(), r.differ.Waiting())
	plan := r.differ.DiffSome(r.have, want, deletes)
	if !deleting {
		plan.OldBackends = nil
	}
	plan.Maps = r.withoutStaleNode(plan.Maps, want.Node)
	if !plan.Runtime() {
		r.changed(runtime.Applied{}, deleting)
		return nil, nil
	}
	began := r.now()
	r.observeSoon = began.Add(observeDelay)
	if err := errors.Join(r.announce(plan.NewBackends), r.writePlannedMaps(plan)); err != nil {
		return nil, err
	}
	undo, err := r.writePlannedCertificates(plan, want)
	if err != nil {
		return nil, err
	}
	ctx, ended := outlast(ctx, changePatience)
	defer ended()
	applied, err := session.Apply(ctx, plan)
	r.countApply(AtRuntime, err != nil || len(applied.Rejected) > 0)
	if err == nil {
		err = errors.Join(r.settleBackends(ctx, session, plan, applied), r.readBack(ctx, session, plan, want, result))
	}
	if err != nil {
		r.process.forget() // only HAProxy knows which part of the plan was applied
		return nil, err
	}
	if err := r.settleCertificates(plan, applied, undo); err != nil {
		return nil, err
	}
	r.leaveToReload(applied.Rejected, want)
	r.touchStates(slices.Concat(plan.Add, plan.Leave)...)
	r.writeSoon()
	r.changed(applied, deleting)
	r.reportChange(applied.Done(plan), result, r.now().Sub(began))
	if len(plan.RemoveUnmanaged) > 0 {
		r.log.Warn("unmanaged servers are removed", "servers", r.have.Loaded.OwnNames(plan.RemoveUnmanaged))
		r.resyncAt = r.now().Add(observeInterval) // some may still have connections
		r.have.Unmanaged = nil
	}
	return summary(r.final(applied.Rejected)), nil
}

// withoutStaleNode returns maps without that of the node if a drain began or ended during
// this pass: the command has changed HAProxy already, and the next pass wants the same.
func (r *Reconciler) withoutStaleNode(maps []haproxy.Map, node haproxy.Node) []haproxy.Map {
	isNode := func(m haproxy.Map) bool { return m.Name == haproxy.NodeMap }
	if !slices.ContainsFunc(maps, isNode) {
		return maps
	}
	drain, exists := r.dir.ReadDrain()
	if draining := exists && !drain.Expired(r.now()); draining == node.Draining {
		return maps
	}
	return slices.DeleteFunc(slices.Clone(maps), isNode)
}

// changed ends the backoff if nothing was rejected, and schedules the remaining deletes.
func (r *Reconciler) changed(applied runtime.Applied, deleting bool) {
	if len(applied.Rejected) == 0 {
		r.retry.reset()
	}
	if deleting {
		r.deletes.tried(r.now(), applied, r.differ.Waiting())
	}
}

// reportChange logs a plan that changed something, and counts it.
func (r *Reconciler) reportChange(plan haproxy.Plan, result *Result, took time.Duration) {
	var done Result
	if done.count(plan); done.Empty() {
		return
	}
	result.count(plan)
	r.log.Info("servers changed", "added", done.Added, "left", done.Left, "maps", done.Maps, "backends", done.Backends, "certificates", done.Certificates, "took", took)
}

// summary is an error with the first rejection and the number of the others; nil without
// any rejection.
func summary(rejected []runtime.Rejection) error {
	switch more := len(rejected) - 1; {
	case more < 0:
		return nil
	case more == 0:
		return fmt.Errorf("change HAProxy: %s", rejected[0])
	default:
		return fmt.Errorf("change HAProxy: %s (and %d more)", rejected[0], more)
	}
}

// changeAfterReload applies what changed while HAProxy loaded want.
func (r *Reconciler) changeAfterReload(ctx context.Context, want haproxy.State, result *Result) (rejected, err error) {
	session := r.runtime.Session(ctx)
	defer session.Close()
	if err := r.observe(ctx, session, want, result); err != nil {
		return nil, err
	}
	return r.change(ctx, session, want, result)
}

// outlast returns a ctx that ends patience later than the given ctx. The caller must
// call done.
func outlast(ctx context.Context, patience time.Duration) (longer context.Context, done context.CancelFunc) {
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		timer := time.NewTimer(patience)
		defer timer.Stop()
		select {
		case <-timer.C:
			cancel()
		case <-longer.Done():
		}
	})
	return longer, func() { stop(); cancel() }
}

func (r *Reconciler) countApply(m Method, failed bool) {
	if failed {
		r.count.Applies[m][Failed]++
		return
	}
	r.count.Applies[m][OK]++
	r.count.LastApply = r.now()
}

// writePlannedMaps writes the maps of a plan to disk, before they are sent to HAProxy.
func (r *Reconciler) writePlannedMaps(plan haproxy.Plan) error {
	if len(plan.Maps) == 0 {
		return nil
	}
	texts, err := cfgfile.RenderMaps(plan.Maps)
	if err != nil {
		return err
	}
	r.writer.Wait()
	return r.dir.WriteMaps(texts)
}
