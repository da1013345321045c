// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"podgate/daemon/admin"
	"podgate/daemon/confdir"
	"podgate/daemon/config"
	"podgate/daemon/guard"
	"podgate/daemon/transition"
	"podgate/haproxy"
	"podgate/haproxy/cfgfile"
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

// edge is the HAProxy beside us: what it serves, as far as we know, and how it
// is brought to serve something else.
type edge struct {
	haproxy        config.HAProxy
	reloadInterval time.Duration
	resyncInterval time.Duration
	folder         confdir.Dir
	writer         *confdir.Writer
	runtime        *runtime.Client
	log            *slog.Logger
	alive          func() // tells, before a step that may take a minute, that the loop goes on

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

	guard      *guard.Guard
	vetted     vetted
	bundles    map[string][]byte // authorities that are wanted, by file name
	tickets    tickets
	quarantine quarantine
	local      localPeer
	localOf    int    // the Pid of the HAProxy that was asked for local; zero for none
	secret     string // of the relay; "" until it is needed

	trouble   transition.Condition // what went wrong last
	noPeers   transition.Condition // why HAProxy shares nothing with its peers
	noRelay   transition.Condition // why there is no relay
	viaMaster transition.Condition // the admin socket is dead

	count    admin.Counters
	drifting int // of count.DriftFound, not repaired yet
}

func newEdge(c *config.Config, log *slog.Logger) *edge {
	h := c.HAProxy
	return &edge{
		haproxy:        h,
		reloadInterval: h.ReloadInterval,
		resyncInterval: c.Kubernetes.ResyncInterval,
		folder:         confdir.Dir(h.Folder),
		writer:         confdir.NewWriter(confdir.Dir(h.Folder)),
		runtime:        runtime.New(h.AdminSocket, h.MasterSocket, h.Folder),
		log:            log,
		alive:          func() {},
		guard:          guard.New(limits(c.Safety), confdir.Dir(h.Folder), time.Now, log),
		local:          hostPeer(),
		tickets:        tickets{interval: c.HTTPS.TicketKeyInterval},
	}
}

// limits are those of [safety] that hold a removal.
func limits(s config.Safety) guard.Limits {
	return guard.Limits{MaxRemoval: s.MaxRemoval, FromCount: s.FromCount, HoldTime: s.HoldTime}
}

// tidy removes what a podgate that was killed left half done.
func (e *edge) tidy() error {
	return errors.Join(e.folder.Sweep(), e.folder.RemoveHeld(), e.folder.WriteServerState(cfgfile.EmptyServerState()))
}

// bring closes the difference between what HAProxy serves and want, as far as
// that can be done now; next tells when there is more to do.
func (e *edge) bring(ctx context.Context, want haproxy.State) Pass {
	began := time.Now()
	var pass Pass
	err := e.step(ctx, want, &pass)
	if ctx.Err() != nil {
		err = nil // we were told to stop: whoever comes next goes on
	}
	if err != nil {
		e.retryAt.later()
	}
	if err != nil || !e.reload.waits() {
		e.tell(err)
	}
	pass.Err = err
	pass.Took = time.Since(began)
	e.drifting += pass.Drift
	e.count.DriftFound += uint64(pass.Drift)
	if err == nil {
		e.count.DriftRepaired += uint64(e.drifting)
		e.drifting = 0
	}
	return pass
}

func (e *edge) step(ctx context.Context, want haproxy.State, pass *Pass) error {
	want.RuntimeBackends = e.have.TakesBackends // as of the last HAProxy that we knew
	session := e.runtime.Session(ctx)
	defer session.Close()
	if err := e.look(ctx, session, want, pass); err != nil {
		if want.HasUnknown() {
			return err // the files stay as they are: they hold the servers that want lacks
		}
		e.beginGuard()
		return errors.Join(err, e.writeDesired(ctx, e.vet(ctx, e.guard.Hold(want))))
	}
	e.findLocal(ctx, want.Settings.Peers)
	if e.unknowns.In(want) {
		want = want.KeepUnknown(e.have.Servers)
	}
	e.beginGuard()
	want = e.vet(ctx, e.guard.Hold(want))
	want.RuntimeBackends = e.have.TakesBackends
	possible := e.quarantine.filter(want, e.have.Loaded)
	refused, err := e.change(ctx, session, possible, pass)
	if err != nil {
		return err
	}
	if e.process.Pid == 0 { // another one answers: the next pass looks what it serves
		return e.writeRunning()
	}
	switch due := e.reload.due(e.reloadReasons(possible), e.reloadInterval); {
	case !due:
		e.checkAhead(ctx, possible)
	case !e.learns(ctx, session):
		loaded, err := e.load(ctx, want, pass)
		if err != nil {
			return errors.Join(refused, err, e.writeRunning())
		}
		if refused, err = e.changeMore(ctx, loaded, pass); err != nil {
			return err
		}
	}
	return errors.Join(refused, e.rotateTickets(ctx), e.writeRunning())
}

// beginGuard tells the guard, once, what is in service when podgate begins.
func (e *edge) beginGuard() {
	switch {
	case e.guard.Begun():
	case e.ours && e.process.Pid != 0:
		e.guard.Begin(e.have.State())
	default:
		e.guard.Begin(e.folder.Serving())
	}
}

// changeMore does what changed while HAProxy loaded want.
func (e *edge) changeMore(ctx context.Context, want haproxy.State, pass *Pass) (refused, err error) {
	session := e.runtime.Session(ctx)
	defer session.Close()
	if err := e.look(ctx, session, want, pass); err != nil {
		return nil, err
	}
	return e.change(ctx, session, want, pass)
}

// next is when bring has something to do although nothing changed.
func (e *edge) next() time.Time {
	next := time.Now().Add(lookInterval)
	for _, at := range []time.Time{e.writeAt, e.retryAt.at, e.deletes.at, e.nextReload(), e.guard.Next(), e.lookAt} {
		if !at.IsZero() && at.Before(next) {
			next = at
		}
	}
	return next
}

// nextReload is when a reload is due, or a check ahead of it; zero for neither,
// as while there is nobody to reload.
func (e *edge) nextReload() time.Time {
	switch {
	case e.process.Pid == 0:
		return time.Time{}
	case e.ahead == nil && !e.reload.aheadAt().IsZero():
		return e.reload.aheadAt()
	}
	return e.reload.at
}

// close leaves the file as HAProxy serves, which goes on.
func (e *edge) close() {
	if check := e.ahead; check != nil {
		e.dropAhead()
		<-check.done
	}
	e.writer.Wait()
	if !e.writeAt.IsZero() {
		e.writeAt = time.Now()
		_ = e.writeRunning() // its error is the last write's
		e.writer.Wait()
	}
	e.tell(e.writer.Err())
}

// tell logs what goes wrong, once, and that it is over. A process that changed
// during a change is observed by the next pass, which repeats what it lacks.
func (e *edge) tell(err error) {
	reason := ""
	switch {
	case errors.Is(err, runtime.ErrProcessChanged):
		e.log.Info("HAProxy was reloaded by someone else during a change; retrying")
		return
	case err != nil:
		reason = err.Error()
	}
	switch began, ended := e.trouble.Set(reason); {
	case began:
		e.log.Error("HAProxy is out of sync", "err", err)
	case ended:
		e.log.Info("HAProxy is in sync again")
	}
}

// status is one line for systemctl status.
func (e *edge) status() string {
	switch {
	case e.trouble.Reason() != "":
		return "out of sync: " + e.trouble.Reason()
	case !e.reload.at.IsZero():
		return "a reload of HAProxy is due"
	}
	if r := e.guard.Removal(); r != nil {
		return r.Status()
	}
	return fmt.Sprintf("in sync: %d backends, HAProxy %s", e.have.Loaded.Backends.Len(), e.process.Version)
}

// look makes sure that have is what the process that answers now serves. It
// reads everything back where the process is another one than before, and every
// resync.
func (e *edge) look(ctx context.Context, session *runtime.Session, want haproxy.State, pass *Pass) error {
	e.lookAt = time.Time{}
	process, err := session.Process(ctx)
	if err != nil {
		e.process = runtime.Process{}
		return err
	}
	e.tellAdminSocket(e.runtime.AdminSocket())
	same := process.Pid == e.process.Pid && process.Generation == e.process.Generation
	if same && time.Now().Before(e.observeAt) {
		return nil
	}
	before := e.have
	if !same {
		if e.have.TakesBackends, err = session.TakesBackends(ctx); err != nil {
			e.process = runtime.Process{}
			return err
		}
		want.RuntimeBackends = e.have.TakesBackends
		e.adopt(process, want)
	}
	if err := e.observe(ctx, session, want); err != nil {
		e.process = runtime.Process{}
		return err
	}
	if same {
		pass.Drift += e.tellDrift(before, want.Node)
		e.writer.Doubt() // somebody may have changed the files too
		if e.writeAt.IsZero() {
			e.writeAt = time.Now().Add(writeDelay)
		}
	}
	e.process = process
	return nil
}

// tellAdminSocket logs when HAProxy begins, and ceases, to answer through its
// master alone.
func (e *edge) tellAdminSocket(err error) {
	reason := ""
	if err != nil {
		reason = "the admin socket is dead" // whichever error says so
	}
	switch began, ended := e.viaMaster.Set(reason); {
	case began:
		e.log.Warn("admin socket is dead, HAProxy is reached through its master", "err", err)
	case ended:
		e.log.Info("admin socket answers again")
	}
}

// adopt finds out what configuration a process that we did not load has: the
// one that we wrote last, or the one that we would write.
func (e *edge) adopt(process runtime.Process, want haproxy.State) {
	e.writeAt = time.Now() // the file may miss what was changed last
	e.ours = true
	e.have.Refused = nil
	wrote, _ := e.folder.Loaded(process.Generation)
	for _, s := range []haproxy.State{wrote, want} {
		if files, err := cfgfile.Render(s, string(e.folder)); err == nil && files.Generation == process.Generation {
			e.have.Loaded = s.Structure()
			e.adoptAdded(process)
			return
		}
	}
	e.ours = false
	e.have.Loaded = haproxy.State{}
}

// observe reads back everything of ours.
func (e *edge) observe(ctx context.Context, session *runtime.Session, want haproxy.State) error {
	observed, err := session.Observe(ctx)
	if err != nil {
		return err
	}
	loadedMaps, err := session.Maps(ctx)
	if err != nil {
		return err
	}
	e.have.Maps = loadedMaps
	if err := e.observeAllBackends(ctx, session); err != nil {
		return err
	}
	e.have.Servers = make(map[string][]haproxy.Server, e.have.Loaded.Backends.Len())
	e.have.Strangers = map[string][]string{}
	for _, b := range e.have.Loaded.Backends.All() {
		e.have.Servers[b.Name] = shared(b.Name, observed.Servers[b.Name], want)
		if names := observed.Strangers[b.Name]; len(names) > 0 {
			e.have.Strangers[b.Name] = names
		}
	}
	if err := e.observeCertificates(ctx, session); err != nil {
		return err
	}
	e.observeAt = time.Now().Add(e.resyncInterval)
	return nil
}

// tellDrift tells where HAProxy serves something else than we left it with, and
// counts it: somebody else changed it, or our picture of it was wrong. The Diff
// that follows repairs it.
func (e *edge) tellDrift(before haproxy.Running, node haproxy.Node) (count int) {
	count = e.tellBackendDrift(before)
	for _, b := range e.have.Loaded.Backends.All() {
		have, left := e.have.Servers[b.Name], before.Servers[b.Name]
		strangers := e.have.Strangers[b.Name]
		if !slices.Equal(left, have) || len(strangers) > 0 {
			e.log.Warn("drift found", "backend", b.Name, "have", have, "want", left, "strangers", strangers)
			count++
		}
	}
	for i, m := range e.have.Maps {
		if m.Name == haproxy.NodeMap && haproxy.ParseNode(m) == node {
			continue // podgate drain tells HAProxy by itself
		}
		if i < len(before.Maps) && !slices.Equal(before.Maps[i].Entries, m.Entries) {
			e.log.Warn("drift found", "map", m.Name)
			count++
		}
	}
	return count + e.tellCertificateDrift(before.Certificates)
}

// change does what the runtime API can do. What HAProxy refuses of it stops
// nothing else and is told in refused; an error means that HAProxy could not be
// spoken to.
func (e *edge) change(ctx context.Context, session *runtime.Session, want haproxy.State, pass *Pass) (refused, err error) {
	if !e.ours {
		return nil, nil
	}
	deletes, deleting := e.deletes.due(e.differ.Waiting())
	plan := e.differ.DiffSome(e.have, want, deletes)
	if !deleting {
		plan.OldBackends = nil
	}
	if !plan.Runtime() {
		e.retryAt.reset()
		if deleting {
			e.deletes.tried(runtime.Applied{}, e.differ.Waiting())
		}
		return nil, nil
	}
	began := time.Now()
	e.lookAt = began.Add(lookSoon)
	if err := errors.Join(e.announce(plan.NewBackends), e.writePlannedMaps(plan)); err != nil {
		return nil, err
	}
	undo, err := e.writePlannedCertificates(plan, want)
	if err != nil {
		return nil, err
	}
	ctx, ended := outlast(ctx, changePatience)
	defer ended()
	applied, err := session.Apply(ctx, plan)
	e.countApply(admin.Runtime, err != nil || len(applied.Refused) > 0)
	if err != nil {
		e.process = runtime.Process{} // how much of it was done only HAProxy knows
		return nil, err
	}
	if err := errors.Join(e.takeBackends(ctx, session, plan, applied), e.readBack(ctx, session, plan, want)); err != nil {
		e.process = runtime.Process{}
		return nil, err
	}
	if err := e.settleCertificates(plan, applied, undo); err != nil {
		return nil, err
	}
	if e.writeAt.IsZero() {
		e.writeAt = time.Now().Add(writeDelay)
	}
	e.retryAt.reset()
	if deleting {
		e.deletes.tried(applied, e.differ.Waiting())
	}
	var done Pass
	if done.count(plan); !done.Empty() {
		pass.count(plan)
		e.log.Info("servers changed", "added", done.Added, "left", done.Left, "maps", done.Maps, "backends", done.Backends, "certificates", done.Certificates, "took", time.Since(began))
	}
	if len(plan.Expel) > 0 {
		e.log.Warn("servers of others are taken out", "servers", plan.Expel)
		e.observeAt = time.Now().Add(lookInterval) // some may have connections yet
		e.have.Strangers = nil
	}
	if troubles := e.troubles(applied.Refused); len(troubles) > 0 {
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

func (e *edge) countApply(m admin.Method, failed bool) {
	if failed {
		e.count.Applies[m][admin.Failed]++
		return
	}
	e.count.Applies[m][admin.OK]++
	e.count.LastApply = time.Now()
}

// readBack replaces what have says of the backends and maps that plan touched
// by what HAProxy shows.
func (e *edge) readBack(ctx context.Context, session *runtime.Session, plan haproxy.Plan, want haproxy.State) error {
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
			e.have.Servers[name] = shared(name, servers[name], want)
		}
	}
	if len(plan.Maps) > 0 {
		loadedMaps, err := session.Maps(ctx)
		if err != nil {
			return err
		}
		e.have.Maps = loadedMaps
	}
	var certificates []string
	for _, c := range slices.Concat(plan.Certificates, plan.DropCertificates) {
		certificates = append(certificates, c.Certificate.Name)
	}
	if len(certificates) > 0 {
		return e.observeCertificates(ctx, session, certificates...)
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
