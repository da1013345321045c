// SPDX-License-Identifier: Apache-2.0

package certstore

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"podgate/daemon/cluster"
	"podgate/daemon/compile"
	"podgate/haproxy"
	"podgate/kubeapi"
)

// secret is the certificate of a Secret.
type secret struct {
	certificate haproxy.Certificate // the last valid version; its Name is "" for none
	missing     bool                // the Secret does not exist
	problem     string              // why the current version is not served; "" if it is
}

// parseSecrets parses the certificates of Secrets. While a Secret cannot be read or is
// invalid, it keeps the certificate of before. Until is when the next certificate
// becomes valid or expires, zero for never.
func parseSecrets(read map[kubeapi.Key]cluster.Secret, before map[kubeapi.Key]secret, now time.Time) (parsed map[kubeapi.Key]secret, until time.Time) {
	parsed = make(map[kubeapi.Key]secret, len(read))
	for key, r := range read {
		switch {
		case errors.Is(r.Err, kubeapi.ErrNoSecret):
			parsed[key] = secret{missing: true}
			continue
		case r.Err != nil:
			parsed[key] = secret{certificate: before[key].certificate, problem: r.Err.Error()}
			continue
		}
		c, err := parse(secretSource(key), r.Content.Certificate, r.Content.PrivateKey, now)
		for _, at := range []time.Time{c.NotBefore, c.NotAfter} {
			if !at.Before(now) && (until.IsZero() || at.Before(until)) {
				until = at
			}
		}
		if err != nil {
			parsed[key] = secret{certificate: before[key].certificate, problem: fmt.Sprintf("Secret %s: %v", key, err)}
			continue
		}
		c.Name = secretName(key)
		parsed[key] = secret{certificate: c}
	}
	return parsed, until
}

func secretSource(key kubeapi.Key) string { return "Secret " + key.String() }

// secretName is the Name of the Certificate of a Secret.
func secretName(key kubeapi.Key) string { return secretPrefix + fileName(secretSource(key)) }

// addSecrets adds the certificates of the Secrets that Services name to those of
// files, and returns the Problems of these Services. For the hosts of a Service, the
// certificate of its Secret is served instead of that of a file, except for the hosts
// of a wildcard that other namespaces hold: these keep the certificate of the file. While a Secret was
// not read yet or is invalid, the certificate that HAProxy has stays.
func (s *Store) addSecrets(files []haproxy.Certificate, uses []compile.Secret) ([]haproxy.Certificate, []compile.Problem) {
	var problems []compile.Problem
	owner := map[string]kubeapi.Key{} // by host
	except := map[string]bool{}       // hosts of other namespaces than that of a Secret
	chosen := map[kubeapi.Key]*haproxy.Certificate{}
	excluded := map[kubeapi.Key][]string{}
	for _, use := range uses {
		report := func(format string, args ...any) {
			problems = append(problems, compile.Problem{
				Kind: compile.Invalid, Service: use.Service.Service, Port: use.Service.Label(), Key: use.Annotation, Text: fmt.Sprintf(format, args...),
			})
		}
		known, read := s.secrets[use.Key]
		c := known.certificate
		if c.Name == "" && !known.missing {
			c, _ = inService(s.source.InService, secretName(use.Key), secretSource(use.Key), s.now())
		}
		switch {
		case known.missing:
			report("Secret %s does not exist", use.Key)
		case known.problem != "" && c.Name != "":
			report("%s; the certificate in service stays", known.problem)
		case known.problem != "":
			report("%s", known.problem)
		}
		if c.Name == "" {
			continue
		}
		if len(use.Hosts) == 0 && read {
			report("requires the annotation host, which names the hosts to show the certificate for")
		}
		if chosen[use.Key] == nil {
			c.Serves = nil
			chosen[use.Key] = &c
		}
		for _, host := range use.Hosts {
			other, taken := owner[host]
			switch {
			case !isFor(c, host):
				report("the certificate of Secret %s is for %s, not for host %s", use.Key, cmp.Or(strings.Join(c.Names, ", "), "no host"), host)
			case !taken && strings.HasPrefix(host, "*.") && len(use.Except) > maxExceptions:
				report("the certificate of Secret %s is not served for %s: other namespaces hold %d of its hosts, more than %d", use.Key, host, len(use.Except), maxExceptions)
			case taken && other != use.Key:
				report("host %s already has the certificate of Secret %s", host, other)
			case !taken:
				owner[host] = use.Key
				chosen[use.Key].Serves = append(chosen[use.Key].Serves, host)
				for _, h := range use.Except {
					if strings.HasPrefix(host, "*.") && strings.HasSuffix(h, host[1:]) {
						excluded[use.Key] = append(excluded[use.Key], haproxy.NotServed+h)
						except[h] = true
					}
				}
			}
		}
	}
	if len(owner) == 0 {
		return files, problems
	}
	out := slices.Clone(files)
	for i := range out {
		for _, host := range slices.Sorted(maps.Keys(except)) {
			if _, taken := owner[host]; !taken && slices.ContainsFunc(haproxy.ShownFor(host, files), func(c haproxy.Certificate) bool { return c.Name == files[i].Name }) {
				out[i].Serves = slices.Compact(slices.Sorted(slices.Values(append(slices.Clip(out[i].Serves), host))))
			}
		}
		out[i].Serves = slices.DeleteFunc(slices.Clone(out[i].Serves), func(name string) bool { _, taken := owner[name]; return taken })
	}
	for key, c := range chosen {
		if len(c.Serves) > 0 {
			slices.Sort(c.Serves)
			slices.Sort(excluded[key])
			c.Serves = append(c.Serves, slices.Compact(excluded[key])...)
			out = append(out, *c)
		}
	}
	slices.SortFunc(out, func(a, b haproxy.Certificate) int { return cmp.Compare(a.Name, b.Name) })
	return out, problems
}

// maxExceptions is the maximum number of hosts that a wildcard is served without. HAProxy
// accepts about 2000 words in a line of a crt-list.
const maxExceptions = 1000

// isFor reports whether a certificate is for a host, which may be a wildcard.
func isFor(c haproxy.Certificate, host string) bool {
	_, zone, _ := strings.Cut(host, ".")
	return slices.Contains(c.Names, host) || slices.Contains(c.Names, "*."+zone)
}
