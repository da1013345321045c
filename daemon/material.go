// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"reflect"
	"slices"
	"time"

	"podgate/daemon/admin"
	"podgate/daemon/certstore"
	"podgate/daemon/cluster"
	"podgate/daemon/compile"
	"podgate/daemon/confdir"
	"podgate/daemon/config"
	"podgate/haproxy"
	"podgate/kubeapi"
)

// material follows the certificates and authorities that podgate.toml names, in
// a goroutine of its own.
type material struct {
	of     certstore.Source
	set    certstore.Set     // what there is now
	files  *compile.TLSFiles // the same, by the names of its files; another pointer when they change
	out    chan certstore.Set
	cancel context.CancelFunc
	done   chan struct{}                   // closed by the goroutine when it ends
	told   map[certstore.Problem]time.Time // problems that were told, and since when

	// The last certificates that were chosen, and of what: what stays the same
	// stays one.
	chosen   []haproxy.Certificate
	read     map[kubeapi.Key]cluster.Secret // as they are now
	known    map[kubeapi.Key]secretState    // the same, parsed
	until    time.Time                      // when one of them begins or ends to be valid; zero for never
	lacking  []compile.Problem              // of Services that name Secrets
	problems []certstore.Problem
	secrets  []compile.Secret
	fresh    bool
}

// sourceOf is where podgate.toml says that certificates are.
func sourceOf(c *config.Config) certstore.Source {
	h := c.HTTPS
	return certstore.Source{
		Paths: h.Certificates, Default: h.DefaultCertificate, ClientCA: h.ClientCA, CAFolder: h.BackendCAFolder,
		InService: confdir.Dir(c.HAProxy.Folder).CertificateFolder(),
	}
}

// newMaterial reads what there is, and begins to follow it.
func newMaterial(ctx context.Context, c *config.Config, told map[certstore.Problem]time.Time, log *slog.Logger) *material {
	m := &material{of: sourceOf(c), out: make(chan certstore.Set, 1), done: make(chan struct{}), told: told}
	reader := certstore.NewReader(m.of)
	set, _ := reader.Read()
	m.take(set)
	ctx, m.cancel = context.WithCancel(ctx)
	go func() {
		defer close(m.done)
		certstore.Watch(ctx, log, reader, set, m.out)
	}()
	return m
}

// readMaterial reads what there is, once. It has no goroutine.
func readMaterial(c *config.Config) *material {
	m := &material{of: sourceOf(c)}
	set, _ := certstore.NewReader(m.of).Read()
	m.take(set)
	return m
}

// allProblems are those with what there is, before any Service counts.
func (m *material) allProblems() []certstore.Problem {
	_, problems := certstore.Choose(m.set.Certificates, m.set.Default)
	return slices.Concat(m.set.Problems, problems)
}

// CertificateProblems says what is wrong with the certificates and authorities
// that c names as they are now, a line each. Nothing of it keeps podgate from
// anything else.
func CertificateProblems(c *config.Config) (lines []string) {
	if len(c.HTTPS.Binds) == 0 {
		return nil
	}
	for _, p := range readMaterial(c).allProblems() {
		lines = append(lines, p.String())
	}
	return lines
}

// stop ends the goroutine and waits for it.
func (m *material) stop() {
	m.cancel()
	<-m.done
}

// take takes over what there is now.
func (m *material) take(s certstore.Set) {
	m.set, m.fresh = s, false
	if files := m.name(s); m.files == nil || !reflect.DeepEqual(*m.files, files) {
		m.files = &files
	}
}

// takeSecrets takes over what there is of Secrets now.
func (m *material) takeSecrets(read map[kubeapi.Key]cluster.Secret) {
	m.read, m.fresh = read, false
	m.known, m.until = parseSecrets(read, m.known, time.Now())
}

// name returns the files of our folder that hold s.
func (m *material) name(s certstore.Set) compile.TLSFiles {
	path := func(name string) string {
		if name == "" {
			return ""
		}
		return filepath.Join(m.of.InService, name)
	}
	files := compile.TLSFiles{Default: s.Default, ClientCA: path(s.ClientCA)}
	if s.BackendCAs != nil {
		files.BackendCAs = map[string]string{}
		for name, file := range s.BackendCAs {
			files.BackendCAs[name] = path(file)
		}
	}
	return files
}

// choose says which certificates serve which names.
func (m *material) choose(result *compile.Result) []haproxy.Certificate {
	if !m.until.IsZero() && time.Now().After(m.until) {
		m.takeSecrets(m.read)
	}
	if m.fresh && slices.EqualFunc(m.secrets, result.Secrets, func(a, b compile.Secret) bool { return reflect.DeepEqual(a, b) }) {
		return m.chosen
	}
	m.chosen, m.problems = certstore.Choose(m.set.Certificates, m.set.Default)
	m.chosen, m.lacking = withSecrets(m.chosen, result.Secrets, m.known, m.of.InService)
	m.secrets, m.fresh = result.Secrets, true
	return m.chosen
}

// wanted is the State of result with certificates, where a frontend has use for
// them.
func (m *material) wanted(result *compile.Result) haproxy.State {
	want := result.State
	if want.EndsTLS() {
		want.Certificates = m.choose(result)
	}
	return want
}

// takeMaterial puts the authorities that there are now in our folder.
func (d *Daemon) takeMaterial() {
	if err := d.edge.keepBundles(d.material.set.Bundles); err != nil {
		d.Log.Error("authorities are not in force", "err", err)
	}
}

// followMaterial follows what podgate.toml names now.
func (d *Daemon) followMaterial(ctx context.Context) {
	told, read, known := map[certstore.Problem]time.Time{}, map[kubeapi.Key]cluster.Secret(nil), map[kubeapi.Key]secretState(nil)
	if d.material != nil {
		if reflect.DeepEqual(d.material.of, sourceOf(d.Config)) {
			return
		}
		told, read, known = d.material.told, d.material.read, d.material.known
		d.material.stop()
	}
	d.material = newMaterial(ctx, d.Config, told, d.Log)
	d.material.known = known
	d.material.takeSecrets(read)
	d.takeMaterial()
}

// tellMaterial logs each problem with a certificate when it begins and when it
// ends.
func (d *Daemon) tellMaterial() {
	now := map[certstore.Problem]time.Time{}
	var changes []*admin.Change
	for _, p := range slices.Concat(d.material.set.Problems, d.material.problems, d.edge.vetted.refusals) {
		since, ok := d.material.told[p]
		if !ok {
			since = time.Now()
			d.Log.Warn("certificate problem", "file", p.File, "reason", p.Text)
			changes = append(changes, told("certificate problem", p.String()))
		}
		now[p] = since
	}
	for p := range d.material.told {
		if _, ok := now[p]; !ok {
			d.Log.Info("certificate problem is gone", "file", p.File, "reason", p.Text)
			changes = append(changes, told("certificate problem is gone", p.String()))
		}
	}
	d.material.told = now
	if left := len(changes) - mostTold; left > 0 {
		changes = append(changes[:mostTold], told(fmt.Sprintf("%d more certificate problems began or ended", left), ""))
	}
	d.view.chronicle.tell(changes...)
}
