// SPDX-License-Identifier: Apache-2.0

package admin

import (
	"fmt"
	"time"
)

// Certificate is a certificate of the TLS frontend, without its key.
type Certificate struct {
	Source  string    `json:"source"` // a file, or "Secret shop/tls"
	Names   []string  `json:"names"`
	Expires time.Time `json:"expires"`
}

// CertificateProblem is a problem with a certificate or with CA certificates.
type CertificateProblem struct {
	File  string // or "Secret shop/tls"
	Text  string // what is wrong and what the effect is, one line
	Since time.Time
}

// String is "/etc/podgate/certificates/shop.pem: expired on ...".
func (p CertificateProblem) String() string { return p.File + ": " + p.Text }

// ExpiresSoon is how long before its expiry a certificate is reported. Automatic
// renewal should have happened by then.
const ExpiresSoon = 14 * 24 * time.Hour

// CertificateState is the validity of a certificate.
type CertificateState string

// The states, in the order of a certificate's life.
const (
	Valid    CertificateState = "valid"
	Expiring CertificateState = "expiring" // within ExpiresSoon
	Expired  CertificateState = "expired"
)

func certificateStates() []CertificateState { return []CertificateState{Valid, Expiring, Expired} }

// State returns the state of the certificate at a time.
func (c Certificate) State(now time.Time) CertificateState {
	switch {
	case now.After(c.Expires):
		return Expired
	case c.Expires.Sub(now) < ExpiresSoon:
		return Expiring
	}
	return Valid
}

// countCertificates counts the certificates by state. It has every state.
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

// ending returns the certificates that expire soon or have expired, by expiry.
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

// certificatesText names the certificate that expires first.
func (s Status) certificatesText() string {
	first := s.Certificates[0].text(s.At)
	if len(s.Certificates) == 1 {
		return first
	}
	return fmt.Sprintf("%d, %s", len(s.Certificates), first)
}

// problemsText names one certificate problem, or counts several; "" for none.
func problemsText(problems []CertificateProblem) string {
	switch len(problems) {
	case 0:
		return ""
	case 1:
		return "certificate " + problems[0].String()
	}
	return fmt.Sprintf("%d certificate problems", len(problems))
}

// endingText names one certificate that expires, or counts several; "" for none.
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

// endingLines returns a line for each certificate that expires, if endingText only
// counts them.
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
