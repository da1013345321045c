// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"podgate/daemon/confdir"
	"podgate/daemon/guard"
	"podgate/daemon/transition"
	"podgate/haproxy"
	"podgate/haproxy/cfgfile"
	"podgate/haproxy/check"
	"podgate/haproxy/runtime"
)

const (
	// lookInterval is how often we look whether HAProxy still is the process
	// that we know.
	lookInterval = 2 * time.Second
	// lookSoon is how long behind a change we do: if somebody reloaded HAProxy at
	// that moment, it went to the process that retires.
	lookSoon = 100 * time.Millisecond
	// writeDelay gathers changes of servers, which HAProxy has already, before
	// they are written to the file.
	writeDelay = time.Second
	// writePause is how long a write waits for the one before to end.
	writePause = 50 * time.Millisecond
	// changePatience is how long a change that began is carried on when podgate is
	// told to stop: it is read back, so that the file holds it.
	changePatience = 5 * time.Second
)

// Want is what HAProxy should serve.
type Want struct {
	State haproxy.State
	// Authorities are the CA files that State names, by their names in the folder
	// of certificates.
	Authorities map[string][]byte

	// Lists is kubeapi.Snapshot.Complete of the Snapshot that State was compiled
	// from.
	Lists int
	// Accepted says that State differs from the one before because podgate.toml
	// does: what it removes is intended.
	Accepted bool
	// Released says that podgate.toml names another cluster, or other Services:
	// no removal is held.
	Released bool
}

// Reconciler brings one HAProxy to a wanted State without dropping a request. It
// is for one goroutine.
type Reconciler struct {
	runtime *runtime.Client
	haproxy check.HAProxy
	dir     confdir.Dir
	writer  *confdir.Writer
	now     func() time.Time
	alive   func()
	log     *slog.Logger
	config  Config

	process  runtime.Process         // what answered last; zero while we do not know what it serves
	have     haproxy.Running         // what it serves; of meaning only while process is known
	ours     bool                    // it has loaded a configuration of ours, which is have.Loaded
	added    map[string]addedBackend // what addedFile holds
	differ   haproxy.Differ          // compares have with what is wanted
	unknowns haproxy.Unknowns        // of what is wanted

	lookAt    time.Time // when to look again sooner than after lookInterval; zero for not
	observeAt time.Time // when to read everything back again
	writeAt   time.Time // when the file must follow what runs; zero when it does
	retryAt   backoff   // for what HAProxy did not take
	deletes   deletes   // of servers that left and had connections yet
	reload    reloadPlan
	ahead     *aheadCheck // of what is to be loaded next; nil for none

	guard       *guard.Guard
	chosen      []haproxy.Certificate // that are wanted
	validated   validated
	authorities map[string][]byte // that are wanted, by file name
	tickets     tickets
	quarantine  quarantine
	local       LocalPeer
	localOf     int    // the Pid of the HAProxy that was asked for local; zero for none
	secret      string // of the relay; "" until it is needed

	trouble   transition.Condition // what went wrong last
	noPeers   transition.Condition // why HAProxy shares nothing with its peers
	noRelay   transition.Condition // why there is no relay
	viaMaster transition.Condition // the admin socket is dead

	count    Counters
	drifting int // of count.DriftFound, not repaired yet
}

// New returns a Reconciler that knows nothing of HAProxy yet.
func New(h Host, c Config) *Reconciler {
	return &Reconciler{
		runtime:   h.Runtime,
		haproxy:   h.Check,
		dir:       h.Dir,
		writer:    confdir.NewWriter(h.Dir),
		now:       h.Now,
		alive:     h.Alive,
		log:       h.Log,
		config:    c,
		guard:     guard.New(c.Limits, h.Dir, h.Now, h.Log),
		local:     HostPeer(),
		validated: validated{good: map[string]bool{}, bad: map[string]string{}},
	}
}

// SetConfig replaces the Config.
func (r *Reconciler) SetConfig(c Config) {
	r.config = c
	r.guard.SetLimits(c.Limits)
}

// Reconcile closes the difference between what HAProxy serves and want, as far as
// that can be done now. It is called again when want changes, and at Result.Next.
func (r *Reconciler) Reconcile(ctx context.Context, w Want) Result {
	began := time.Now()
	if w.Accepted {
		r.guard.Accept(w.State)
	}
	if w.Released {
		r.guard.Release()
	}
	r.guard.CountList(w.Lists)
	r.chosen = w.State.Certificates
	var pass Result
	err := errors.Join(r.keepAuthorities(w.Authorities), r.step(ctx, r.secured(ctx, w.State), &pass))
	if ctx.Err() != nil {
		err = nil // we were told to stop: whoever comes next goes on
	}
	if err != nil {
		r.retryAt.later()
	}
	if err != nil || !r.reload.waits() {
		r.tell(err)
	}
	pass.Err = err
	pass.Took = time.Since(began)
	r.drifting += pass.Drift
	r.count.DriftFound += uint64(pass.Drift)
	if err == nil {
		r.count.DriftRepaired += uint64(r.drifting)
		r.drifting = 0
	}
	pass.Relist = r.guard.WantsList()
	pass.Next = r.next()
	return pass
}

func (r *Reconciler) step(ctx context.Context, want haproxy.State, pass *Result) error {
	want.RuntimeBackends = r.have.TakesBackends // as of the last HAProxy that we knew
	session := r.runtime.Session(ctx)
	defer session.Close()
	if err := r.look(ctx, session, want, pass); err != nil {
		if want.HasUnknown() {
			return err // the files stay as they are: they hold the servers that want lacks
		}
		r.beginGuard()
		return errors.Join(err, r.writeDesired(ctx, r.withValidCertificates(ctx, r.guard.Hold(want))))
	}
	r.findLocal(ctx, want.Settings.Peers)
	if r.unknowns.In(want) {
		want = want.KeepUnknown(r.have.Servers)
	}
	r.beginGuard()
	want = r.withValidCertificates(ctx, r.guard.Hold(want))
	want.RuntimeBackends = r.have.TakesBackends
	possible := r.quarantine.filter(want, r.have.Loaded)
	refused, err := r.change(ctx, session, possible, pass)
	if err != nil {
		return err
	}
	if r.process.Pid == 0 { // another one answers: the next pass looks what it serves
		return r.writeRunning()
	}
	switch due := r.reload.due(r.reloadReasons(possible), r.config.ReloadInterval); {
	case !due:
		r.checkAhead(ctx, possible)
	case !r.learns(ctx, session):
		loaded, err := r.load(ctx, want, pass)
		if err != nil {
			return errors.Join(refused, err, r.writeRunning())
		}
		if refused, err = r.changeMore(ctx, loaded, pass); err != nil {
			return err
		}
	}
	return errors.Join(refused, r.rotateTickets(ctx), r.writeRunning())
}

// beginGuard tells the guard, once, what is in service when podgate begins.
func (r *Reconciler) beginGuard() {
	switch {
	case r.guard.Begun():
	case r.ours && r.process.Pid != 0:
		r.guard.Begin(r.have.State())
	default:
		r.guard.Begin(r.dir.Serving())
	}
}

// changeMore does what changed while HAProxy loaded want.
func (r *Reconciler) changeMore(ctx context.Context, want haproxy.State, pass *Result) (refused, err error) {
	session := r.runtime.Session(ctx)
	defer session.Close()
	if err := r.look(ctx, session, want, pass); err != nil {
		return nil, err
	}
	return r.change(ctx, session, want, pass)
}

// next is when bring has something to do although nothing changed.
func (r *Reconciler) next() time.Time {
	next := time.Now().Add(lookInterval)
	for _, at := range []time.Time{r.writeAt, r.retryAt.at, r.deletes.at, r.nextReload(), r.guard.Next(), r.lookAt} {
		if !at.IsZero() && at.Before(next) {
			next = at
		}
	}
	return next
}

// nextReload is when a reload is due, or a check ahead of it; zero for neither,
// as while there is nobody to reload.
func (r *Reconciler) nextReload() time.Time {
	switch {
	case r.process.Pid == 0:
		return time.Time{}
	case r.ahead == nil && !r.reload.aheadAt().IsZero():
		return r.reload.aheadAt()
	}
	return r.reload.at
}

// Close leaves the file as HAProxy serves, which goes on.
func (r *Reconciler) Close() {
	if check := r.ahead; check != nil {
		r.dropAhead()
		<-check.done
	}
	r.writer.Wait()
	if !r.writeAt.IsZero() {
		r.writeAt = time.Now()
		_ = r.writeRunning() // its error is the last write's
		r.writer.Wait()
	}
	r.tell(r.writer.Err())
}

// tell logs what goes wrong, once, and that it is over. A process that changed
// during a change is observed by the next pass, which repeats what it lacks.
func (r *Reconciler) tell(err error) {
	reason := ""
	switch {
	case errors.Is(err, runtime.ErrProcessChanged):
		r.log.Info("HAProxy was reloaded by someone else during a change; retrying")
		return
	case err != nil:
		reason = err.Error()
	}
	switch began, ended := r.trouble.Set(reason); {
	case began:
		r.log.Error("HAProxy is out of sync", "err", err)
	case ended:
		r.log.Info("HAProxy is in sync again")
	}
}

// look makes sure that have is what the process that answers now serves. It
// reads everything back where the process is another one than before, and every
// resync.
func (r *Reconciler) look(ctx context.Context, session *runtime.Session, want haproxy.State, pass *Result) error {
	r.lookAt = time.Time{}
	process, err := session.Process(ctx)
	if err != nil {
		r.process = runtime.Process{}
		return err
	}
	r.tellAdminSocket(r.runtime.AdminSocket())
	same := process.Pid == r.process.Pid && process.Generation == r.process.Generation
	if same && time.Now().Before(r.observeAt) {
		return nil
	}
	before := r.have
	if !same {
		if r.have.TakesBackends, err = session.TakesBackends(ctx); err != nil {
			r.process = runtime.Process{}
			return err
		}
		want.RuntimeBackends = r.have.TakesBackends
		r.adopt(process, want)
	}
	if err := r.observe(ctx, session, want); err != nil {
		r.process = runtime.Process{}
		return err
	}
	if same {
		pass.Drift += r.tellDrift(before, want.Node)
		r.writer.Doubt() // somebody may have changed the files too
		if r.writeAt.IsZero() {
			r.writeAt = time.Now().Add(writeDelay)
		}
	}
	r.process = process
	return nil
}

// tellAdminSocket logs when HAProxy begins, and ceases, to answer through its
// master alone.
func (r *Reconciler) tellAdminSocket(err error) {
	reason := ""
	if err != nil {
		reason = "the admin socket is dead" // whichever error says so
	}
	switch began, ended := r.viaMaster.Set(reason); {
	case began:
		r.log.Warn("admin socket is dead, HAProxy is reached through its master", "err", err)
	case ended:
		r.log.Info("admin socket answers again")
	}
}

// adopt finds out what configuration a process that we did not load has: the
// one that we wrote last, or the one that we would write.
func (r *Reconciler) adopt(process runtime.Process, want haproxy.State) {
	r.writeAt = time.Now() // the file may miss what was changed last
	r.ours = true
	r.have.Refused = nil
	wrote, _ := r.dir.Loaded(process.Generation)
	for _, s := range []haproxy.State{wrote, want} {
		if files, err := cfgfile.Render(s, string(r.dir)); err == nil && files.Generation == process.Generation {
			r.have.Loaded = s.Structure()
			r.adoptAdded(process)
			return
		}
	}
	r.ours = false
	r.have.Loaded = haproxy.State{}
}

// observe reads back everything of ours.
func (r *Reconciler) observe(ctx context.Context, session *runtime.Session, want haproxy.State) error {
	observed, err := session.Observe(ctx)
	if err != nil {
		return err
	}
	loadedMaps, err := session.Maps(ctx)
	if err != nil {
		return err
	}
	r.have.Maps = loadedMaps
	if err := r.observeAllBackends(ctx, session); err != nil {
		return err
	}
	r.have.Servers = make(map[string][]haproxy.Server, r.have.Loaded.Backends.Len())
	r.have.Strangers = map[string][]string{}
	for _, b := range r.have.Loaded.Backends.All() {
		r.have.Servers[b.Name] = shared(b.Name, observed.Servers[b.Name], want)
		if names := observed.Strangers[b.Name]; len(names) > 0 {
			r.have.Strangers[b.Name] = names
		}
	}
	if err := r.observeCertificates(ctx, session); err != nil {
		return err
	}
	r.observeAt = time.Now().Add(r.config.ResyncInterval)
	return nil
}

// tellDrift tells where HAProxy serves something else than we left it with, and
// counts it: somebody else changed it, or our picture of it was wrong. The Diff
// that follows repairs it.
func (r *Reconciler) tellDrift(before haproxy.Running, node haproxy.Node) (count int) {
	count = r.tellBackendDrift(before)
	for _, b := range r.have.Loaded.Backends.All() {
		have, left := r.have.Servers[b.Name], before.Servers[b.Name]
		strangers := r.have.Strangers[b.Name]
		if !slices.Equal(left, have) || len(strangers) > 0 {
			r.log.Warn("drift found", "backend", b.Name, "have", have, "want", left, "strangers", strangers)
			count++
		}
	}
	for i, m := range r.have.Maps {
		if m.Name == haproxy.NodeMap && haproxy.ParseNode(m) == node {
			continue // podgate drain tells HAProxy by itself
		}
		if i < len(before.Maps) && !slices.Equal(before.Maps[i].Entries, m.Entries) {
			r.log.Warn("drift found", "map", m.Name)
			count++
		}
	}
	return count + r.tellCertificateDrift(before.Certificates)
}

// change does what the runtime API can do. What HAProxy refuses of it stops
// nothing else and is told in refused; an error means that HAProxy could not be
// spoken to.
func (r *Reconciler) change(ctx context.Context, session *runtime.Session, want haproxy.State, pass *Result) (refused, err error) {
	if !r.ours {
		return nil, nil
	}
	deletes, deleting := r.deletes.due(r.differ.Waiting())
	plan := r.differ.DiffSome(r.have, want, deletes)
	if !deleting {
		plan.OldBackends = nil
	}
	if !plan.Runtime() {
		r.retryAt.reset()
		if deleting {
			r.deletes.tried(runtime.Applied{}, r.differ.Waiting())
		}
		return nil, nil
	}
	began := time.Now()
	r.lookAt = began.Add(lookSoon)
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
	r.countApply(AtRuntime, err != nil || len(applied.Refused) > 0)
	if err != nil {
		r.process = runtime.Process{} // how much of it was done only HAProxy knows
		return nil, err
	}
	if err := errors.Join(r.takeBackends(ctx, session, plan, applied), r.readBack(ctx, session, plan, want)); err != nil {
		r.process = runtime.Process{}
		return nil, err
	}
	if err := r.settleCertificates(plan, applied, undo); err != nil {
		return nil, err
	}
	if r.writeAt.IsZero() {
		r.writeAt = time.Now().Add(writeDelay)
	}
	r.retryAt.reset()
	if deleting {
		r.deletes.tried(applied, r.differ.Waiting())
	}
	var done Result
	if done.count(plan); !done.Empty() {
		pass.count(plan)
		r.log.Info("servers changed", "added", done.Added, "left", done.Left, "maps", done.Maps, "backends", done.Backends, "certificates", done.Certificates, "took", time.Since(began))
	}
	if len(plan.Expel) > 0 {
		r.log.Warn("servers of others are taken out", "servers", plan.Expel)
		r.observeAt = time.Now().Add(lookInterval) // some may have connections yet
		r.have.Strangers = nil
	}
	if troubles := r.troubles(applied.Refused); len(troubles) > 0 {
		refused = fmt.Errorf("change HAProxy: %s", troubles[0])
		if more := len(troubles) - 1; more > 0 {
			refused = fmt.Errorf("%w (and %d more)", refused, more)
		}
	}
	return refused, nil
}

// outlast returns a ctx that ends so much later than the given one, or by done,
// which the caller must call.
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
	r.count.LastApply = time.Now()
}

// readBack replaces what have says of the backends and maps that plan touched
// by what HAProxy shows.
func (r *Reconciler) readBack(ctx context.Context, session *runtime.Session, plan haproxy.Plan, want haproxy.State) error {
	touched := map[string]bool{}
	for _, c := range slices.Concat(plan.Add, plan.Leave) {
		touched[c.Backend.Name] = true
	}
	if len(touched) > 0 {
		names := slices.Sorted(maps.Keys(touched))
		servers, err := session.Servers(ctx, names)
		if err != nil {
			return err
		}
		for _, name := range names {
			r.have.Servers[name] = shared(name, servers[name], want)
		}
	}
	if len(plan.Maps) > 0 {
		loadedMaps, err := session.Maps(ctx)
		if err != nil {
			return err
		}
		r.have.Maps = loadedMaps
	}
	var certificates []string
	for _, c := range slices.Concat(plan.Certificates, plan.DropCertificates) {
		certificates = append(certificates, c.Certificate.Name)
	}
	if len(certificates) > 0 {
		return r.observeCertificates(ctx, session, certificates...)
	}
	return nil
}

// shared returns the servers of a backend as want holds them, if they are the
// same: two lists that are one need not be compared in every pass.
func shared(backend string, servers []haproxy.Server, want haproxy.State) []haproxy.Server {
	if b, ok := want.Backend(backend); ok && slices.Equal(servers, b.Servers) {
		return b.Servers
	}
	return servers
}
