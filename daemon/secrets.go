// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"podgate/daemon/certs"
	"podgate/daemon/compile"
	"podgate/daemon/latest"
	"podgate/haproxy"
	"podgate/kubeapi"
)

// secretState is what is known of one Secret.
type secretState struct {
	certificate haproxy.Certificate // the last that was good; its Name is "" before
	missing     bool                // there is no such Secret
	trouble     string              // what is wrong with it; "" for nothing
}

// secretFollower reads those Secrets that Services name, each by its name, again
// and again, in a goroutine of its own.
type secretFollower struct {
	client   *kubeapi.Client
	interval time.Duration
	want     chan []kubeapi.Key               // of capacity 1: the latest counts
	out      chan map[kubeapi.Key]secretState // of capacity 1, likewise
	asked    []kubeapi.Key                    // the last that was sent to want
}

func newSecretFollower(client *kubeapi.Client, interval time.Duration) *secretFollower {
	return &secretFollower{
		client: client, interval: interval,
		want: make(chan []kubeapi.Key, 1), out: make(chan map[kubeapi.Key]secretState, 1),
	}
}

// ask says which Secrets are wanted from now on.
func (f *secretFollower) ask(secrets []compile.Secret) {
	var keys []kubeapi.Key
	for _, s := range secrets {
		keys = append(keys, s.Key)
	}
	keys = slices.Compact(keys) // they are sorted
	if !slices.Equal(keys, f.asked) {
		f.asked = keys
		latest.Send(f.want, keys)
	}
}

func (f *secretFollower) run(ctx context.Context) {
	ticker := time.NewTicker(f.interval)
	defer ticker.Stop()
	var keys []kubeapi.Key
	known := map[kubeapi.Key]secretState{}
	for {
		select {
		case <-ctx.Done():
			return
		case keys = <-f.want:
		case <-ticker.C:
		}
		next := map[kubeapi.Key]secretState{}
		for _, key := range keys {
			next[key] = f.read(ctx, key, known[key])
		}
		if ctx.Err() == nil && !reflect.DeepEqual(known, next) {
			known = next
			latest.Send(f.out, maps.Clone(known))
		}
	}
}

// read reads one Secret. What was good stays while it cannot be read, or is good
// no longer.
func (f *secretFollower) read(ctx context.Context, key kubeapi.Key, before secretState) secretState {
	secret, err := f.client.Secret(ctx, key)
	if errors.Is(err, kubeapi.ErrNoSecret) {
		return secretState{missing: true}
	}
	if err != nil {
		return secretState{certificate: before.certificate, trouble: err.Error()}
	}
	c, err := certs.Parse("Secret "+key.String(), secret.Certificate, secret.PrivateKey, time.Now())
	if err != nil {
		return secretState{certificate: before.certificate, trouble: fmt.Sprintf("Secret %s: %v", key, err)}
	}
	c.Name = certs.SecretName(c.Source)
	return secretState{certificate: c}
}

// withSecrets is chosen, with the certificates of Secrets for the hosts of those
// Services that name them: there they go before those of files. Of one that is
// not known yet, or no longer good, that is served which is in service.
func withSecrets(chosen []haproxy.Certificate, uses []compile.Secret, known map[kubeapi.Key]secretState, folder string) ([]haproxy.Certificate, []compile.Problem) {
	var problems []compile.Problem
	owner := map[string]kubeapi.Key{}
	byKey := map[kubeapi.Key]*haproxy.Certificate{}
	for _, use := range uses {
		tell := func(format string, args ...any) {
			problems = append(problems, compile.Problem{
				Kind: compile.Invalid, Service: use.Service.Service, Port: use.Service.Label(), Key: use.Note, Text: fmt.Sprintf(format, args...),
			})
		}
		state, read := known[use.Key]
		c := state.certificate
		if c.Name == "" && !state.missing {
			source := "Secret " + use.Key.String()
			c, _ = certs.InService(folder, certs.SecretName(source), source, time.Now())
		}
		switch {
		case state.missing:
			tell("there is no Secret %s yet", use.Key)
		case state.trouble != "" && c.Name != "":
			tell("%s; the certificate in service stays", state.trouble)
		case state.trouble != "":
			tell("%s", state.trouble)
		}
		if c.Name == "" {
			continue
		}
		if len(use.Hosts) == 0 && read {
			tell("goes with host, for which the certificate is to be")
		}
		if byKey[use.Key] == nil {
			c.Serves = nil
			byKey[use.Key] = &c
		}
		for _, host := range use.Hosts {
			other, taken := owner[host]
			switch {
			case !isFor(c, host):
				tell("Secret %s is not for host %s but for %s", use.Key, host, cmp.Or(strings.Join(c.Names, ", "), "none"))
			case taken && other != use.Key:
				tell("host %s has the certificate of Secret %s", host, other)
			case !taken:
				owner[host] = use.Key
				byKey[use.Key].Serves = append(byKey[use.Key].Serves, host)
			}
		}
	}
	if len(owner) == 0 {
		return chosen, problems
	}
	out := slices.Clone(chosen)
	for i := range out {
		out[i].Serves = slices.DeleteFunc(slices.Clone(out[i].Serves), func(name string) bool { _, taken := owner[name]; return taken })
	}
	for _, c := range byKey {
		if len(c.Serves) > 0 {
			slices.Sort(c.Serves)
			out = append(out, *c)
		}
	}
	slices.SortFunc(out, func(a, b haproxy.Certificate) int { return cmp.Compare(a.Name, b.Name) })
	return out, problems
}

// isFor reports whether a certificate is for a host, which may be a wildcard.
func isFor(c haproxy.Certificate, host string) bool {
	_, zone, _ := strings.Cut(host, ".")
	return slices.Contains(c.Names, host) || slices.Contains(c.Names, "*."+zone)
}
