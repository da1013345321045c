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

// Store holds the certificates of files and of Secrets, and chooses which of them
// serve which names. It reads files in a goroutine of its own; the caller reads
// Secrets. Its methods may not be called concurrently.
type Store struct {
	log    *slog.Logger
	now    func() time.Time
	source Source
	set    Set
	out    chan Set // of capacity 1, holds only the newest; not closed
	cancel context.CancelFunc
	ended  sync.WaitGroup

	read    map[kubeapi.Key]cluster.Secret // current versions
	secrets map[kubeapi.Key]secret         // the same, parsed
	until   time.Time                      // when read must be parsed again, see parseSecrets

	choice *Choice          // nil if Choose must choose again
	uses   []compile.Secret // for which choice was made
}

// New returns a Store without certificates.
func New(log *slog.Logger) *Store { return &Store{log: log, now: time.Now, cancel: func() {}} }

// ReadOnce returns a Store with the current content of the files. It does not follow
// them.
func ReadOnce(src Source) *Store {
	s := New(slog.New(slog.DiscardHandler))
	s.source = src
	s.set, _ = newReader(src).Read()
	return s
}

// Follow reads the files of src, and sends every change to Updates until ctx ends or
// Stop is called. It does nothing if src is followed already.
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

// Stop ends the goroutine and waits for it. The Store keeps its certificates.
func (s *Store) Stop() {
	s.cancel()
	s.ended.Wait()
}

// Updates receives the content of the files after each change, which the caller
// passes to Update.
func (s *Store) Updates() <-chan Set { return s.out }

// Update sets the content of the files.
func (s *Store) Update(set Set) {
	if reflect.DeepEqual(set.Files, s.set.Files) {
		set.Files = s.set.Files
	}
	s.set, s.choice = set, nil
}

// Set returns the content of the files. Its Files are the same pointer while their
// content is equal.
func (s *Store) Set() Set { return s.set }

// UpdateSecrets sets the content of the Secrets.
func (s *Store) UpdateSecrets(read map[kubeapi.Key]cluster.Secret) {
	s.read, s.choice = read, nil
	s.secrets, s.until = parseSecrets(read, s.secrets, s.now())
}

// Choice is which certificates serve which names.
type Choice struct {
	Certificates []haproxy.Certificate // by Name; the same slice while it is equal
	Problems     []Problem             // of files
	Services     []compile.Problem     // of Services that name a Secret
}

// Choose chooses the certificates for the frontends and the Services of r. It chooses
// none if no frontend terminates TLS.
func (s *Store) Choose(r *compile.Result) Choice {
	if !r.State.EndsTLS() {
		return Choice{Problems: s.set.Problems}
	}
	if !s.until.IsZero() && s.now().After(s.until) {
		s.UpdateSecrets(s.read)
	}
	same := func(a, b compile.Secret) bool { return reflect.DeepEqual(a, b) }
	if s.choice == nil || !slices.EqualFunc(s.uses, r.Secrets, same) {
		chosen, problems := choose(s.set.Certificates, s.set.Files.Default)
		c := &Choice{Problems: slices.Concat(s.set.Problems, problems)}
		c.Certificates, c.Services = s.addSecrets(chosen, r.Secrets)
		s.choice, s.uses = c, r.Secrets
	}
	return *s.choice
}

// Check returns the Problems of the files alone, without Secrets and Services.
func (s *Store) Check() []Problem {
	_, problems := choose(s.set.Certificates, s.set.Files.Default)
	return slices.Concat(s.set.Problems, problems)
}
