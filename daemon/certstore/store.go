// SPDX-License-Identifier: Apache-2.0

package certstore

import (
	"context"
	"log/slog"
	"reflect"
	"slices"
	"sync"
	"time"

	"podgate/daemon/cluster"
	"podgate/daemon/compile"
	"podgate/haproxy"
	"podgate/kubeapi"
)

// Store holds the certificates of files and of Secrets, and chooses among them. It
// reads files in a goroutine of its own and is given Secrets. Its methods are for
// one goroutine.
type Store struct {
	log    *slog.Logger
	now    func() time.Time
	source Source
	set    Set
	out    chan Set // of capacity 1, the newest counts; not closed
	cancel context.CancelFunc
	ended  sync.WaitGroup

	read    map[kubeapi.Key]cluster.Secret // as they are now
	secrets map[kubeapi.Key]secret         // the same, parsed
	until   time.Time                      // when one of them begins or ends to be valid; zero for never

	choice *Choice // nil if it must be made again
	uses   []compile.Secret
}

// New returns a Store without certificates.
func New(log *slog.Logger) *Store { return &Store{log: log, now: time.Now, cancel: func() {}} }

// ReadOnce returns a Store of the files as they are now. It follows none.
func ReadOnce(src Source) *Store {
	s := New(slog.New(slog.DiscardHandler))
	s.source = src
	s.set, _ = newReader(src).Read()
	return s
}

// Follow reads the files of src, and sends every change to Updates until ctx ends or
// Stop. It does nothing if src is followed already.
func (s *Store) Follow(ctx context.Context, src Source) {
	if s.out != nil && reflect.DeepEqual(s.source, src) {
		return
	}
	s.Stop()
	reader := newReader(src)
	set, _ := reader.Read()
	s.source, s.out = src, make(chan Set, 1)
	s.Update(set)
	ctx, s.cancel = context.WithCancel(ctx)
	out := s.out
	s.ended.Go(func() { watch(ctx, s.log, reader, set, out) })
}

// Stop ends the goroutine and waits for it. The certificates stay.
func (s *Store) Stop() {
	s.cancel()
	s.ended.Wait()
}

// Updates receives what the files hold when that changed. It is for Update.
func (s *Store) Updates() <-chan Set { return s.out }

// Update sets what the files hold.
func (s *Store) Update(set Set) {
	if reflect.DeepEqual(set.Files, s.set.Files) {
		set.Files = s.set.Files
	}
	s.set, s.choice = set, nil
}

// Set is what the files hold. Its Files are the same pointer while they are equal.
func (s *Store) Set() Set { return s.set }

// UpdateSecrets sets what the Secrets hold.
func (s *Store) UpdateSecrets(read map[kubeapi.Key]cluster.Secret) {
	s.read, s.choice = read, nil
	s.secrets, s.until = parseSecrets(read, s.secrets, s.now())
}

// Choice says which certificates serve which names.
type Choice struct {
	Certificates []haproxy.Certificate // by Name; the same slice while it is equal
	Problems     []Problem             // of files
	Services     []compile.Problem     // of Services that name a Secret
}

// Choose chooses the certificates for the frontends and the Services of r. If no
// frontend ends TLS, there are none.
func (s *Store) Choose(r *compile.Result) Choice {
	if !r.State.EndsTLS() {
		return Choice{Problems: s.set.Problems}
	}
	if !s.until.IsZero() && s.now().After(s.until) {
		s.UpdateSecrets(s.read)
	}
	same := func(a, b compile.Secret) bool { return reflect.DeepEqual(a, b) }
	if s.choice == nil || !slices.EqualFunc(s.uses, r.Secrets, same) {
		ofFiles, problems := choose(s.set.Certificates, s.set.Files.Default)
		c := &Choice{Problems: slices.Concat(s.set.Problems, problems)}
		c.Certificates, c.Services = s.addSecrets(ofFiles, r.Secrets)
		s.choice, s.uses = c, r.Secrets
	}
	return *s.choice
}

// Check returns what is wrong with the files, with no Secret and no Service.
func (s *Store) Check() []Problem {
	_, problems := choose(s.set.Certificates, s.set.Files.Default)
	return slices.Concat(s.set.Problems, problems)
}
