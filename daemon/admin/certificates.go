// SPDX-License-Identifier: Apache-2.0

package admin

import (
	"fmt"
	"time"
)

// Certificate is one that the TLS frontend uses, without its key.
type Certificate struct {
	Source  string    `json:"source"` // a file, or "Secret shop/tls"
	Names   []string  `json:"names"`
	Expires time.Time `json:"expires"`
}

// CertificateProblem is what is wrong with a certificate, or with authorities.
type CertificateProblem struct {
	File  string // or "Secret shop/tls"
	Text  string // what is wrong and what becomes of it, one line
	Since time.Time
}

// String is "/etc/podgate/certificates/shop.pem: expired on ...".
func (p CertificateProblem) String() string { return p.File + ": " + p.Text }

// ExpiresSoon is how long before its end a certificate is told: whoever renews
// it has tried by then.
const ExpiresSoon = 14 * 24 * time.Hour

// CertificateState is how near a certificate is to its end.
type CertificateState string

// The states, in the order in which certificates get there.
const (
	Valid    CertificateState = "valid"
	Expiring CertificateState = "expiring" // within ExpiresSoon
	Expired  CertificateState = "expired"
)

func certificateStates() []CertificateState { return []CertificateState{Valid, Expiring, Expired} }

// State is that of the certificate at a time.
func (c Certificate) State(now time.Time) CertificateState {
	switch {
	case now.After(c.Expires):
		return Expired
	case c.Expires.Sub(now) < ExpiresSoon:
		return Expiring
	}
	return Valid
}

// countCertificates is how many are in each state, those included that none is
// in.
func countCertificates(certificates []Certificate, now time.Time) map[CertificateState]int {
	count := map[CertificateState]int{}
	for _, state := range certificateStates() {
		count[state] = 0
	}
	for _, c := range certificates {
		count[c.State(now)]++
	}
	return count
}

// ending are the certificates that expire soon or have, the first to expire
// first.
func (s Status) ending() []Certificate {
	return limit(s.Certificates, s.Count.Certificates[Expired]+s.Count.Certificates[Expiring])
}

func (c Certificate) text(now time.Time) string {
	left := c.Expires.Sub(now)
	if left < 0 {
		return fmt.Sprintf("%s expired %s ago", c.Source, ago(-left))
	}
	return fmt.Sprintf("%s expires in %s", c.Source, ago(left))
}

// certificatesText says which of several is the first to expire.
func (s Status) certificatesText() string {
	first := s.Certificates[0].text(s.At)
	if len(s.Certificates) == 1 {
		return first
	}
	return fmt.Sprintf("%d, %s", len(s.Certificates), first)
}

// problemsText is why certificates that are refused are worth a word, one by its
// name and several by how many they are; "" for none.
func problemsText(problems []CertificateProblem) string {
	switch len(problems) {
	case 0:
		return ""
	case 1:
		return "certificate " + problems[0].String()
	}
	return fmt.Sprintf("%d problems of certificates", len(problems))
}

// endingText is why certificates are worth a word, "" for nothing: one by its
// name, several by how many they are.
func (s Status) endingText() string {
	ending := s.ending()
	expired, expiring := s.Count.Certificates[Expired], s.Count.Certificates[Expiring]
	switch {
	case len(ending) == 0:
		return ""
	case len(ending) == 1:
		return "certificate " + ending[0].text(s.At)
	case expired == 0:
		return fmt.Sprintf("%d certificates expire soon", expiring)
	case expiring == 0:
		return fmt.Sprintf("%d certificates have expired", expired)
	}
	return fmt.Sprintf("%d certificates expire soon or have expired", len(ending))
}

// endingLines are the certificates that expire, a line each, where they are so
// many that endingText only counts them.
func (s Status) endingLines() []string {
	ending := s.ending()
	if len(ending) < 2 {
		return nil
	}
	lines := make([]string, len(ending))
	for i, c := range ending {
		lines[i] = c.text(s.At)
	}
	return lines
}
