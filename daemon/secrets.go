// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"podgate/daemon/certstore"
	"podgate/daemon/cluster"
	"podgate/daemon/compile"
	"podgate/haproxy"
	"podgate/kubeapi"
)

// secretState is one Secret as a certificate.
type secretState struct {
	certificate haproxy.Certificate // the last that was good; its Name is "" before
	missing     bool                // there is no such Secret
	trouble     string              // why the Secret as it is now is not served; "" if it is
}

// parseSecrets makes certificates of Secrets. What was good before stays while a
// Secret cannot be read, or is good no longer. Until is when one of them begins or
// ends to be valid, zero for never.
func parseSecrets(read map[kubeapi.Key]cluster.Secret, before map[kubeapi.Key]secretState, now time.Time) (known map[kubeapi.Key]secretState, until time.Time) {
	known = make(map[kubeapi.Key]secretState, len(read))
	for key, secret := range read {
		switch {
		case errors.Is(secret.Err, kubeapi.ErrNoSecret):
			known[key] = secretState{missing: true}
			continue
		case secret.Err != nil:
			known[key] = secretState{certificate: before[key].certificate, trouble: secret.Err.Error()}
			continue
		}
		c, err := certstore.Parse("Secret "+key.String(), secret.Content.Certificate, secret.Content.PrivateKey, now)
		for _, at := range []time.Time{c.NotBefore, c.NotAfter} {
			if !at.Before(now) && (until.IsZero() || at.Before(until)) {
				until = at
			}
		}
		if err != nil {
			known[key] = secretState{certificate: before[key].certificate, trouble: fmt.Sprintf("Secret %s: %v", key, err)}
			continue
		}
		c.Name = certstore.SecretName(c.Source)
		known[key] = secretState{certificate: c}
	}
	return known, until
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
				Kind: compile.Invalid, Service: use.Service.Service, Port: use.Service.Label(), Key: use.Annotation, Text: fmt.Sprintf(format, args...),
			})
		}
		state, read := known[use.Key]
		c := state.certificate
		if c.Name == "" && !state.missing {
			source := "Secret " + use.Key.String()
			c, _ = certstore.InService(folder, certstore.SecretName(source), source, time.Now())
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
