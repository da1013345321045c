// SPDX-License-Identifier: Apache-2.0

package cfgfile

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strings"

	parser "github.com/haproxytech/client-native/v5/config-parser"
	"github.com/haproxytech/client-native/v5/config-parser/params"
	"github.com/haproxytech/client-native/v5/models"

	"podgate/haproxy"
)

const (
	// CertificateFolder is the folder below ours with a file for each
	// Certificate, and with authorities.
	CertificateFolder = "certificates"
	// CrtListFile is the list of certificates that every TLS frontend of ours
	// looks names up in (configuration.txt "crt-list").
	CrtListFile = "certificates.crtlist"
	// TicketKeysFile holds the keys of session tickets, so that sessions outlive
	// a reload (configuration.txt "tls-ticket-keys").
	TicketKeysFile = "tickets.keys"
	// StagingPrefix begins the names of folders below ours that hold keys for the
	// time of a check. One that outlives it was left by a process that was killed.
	StagingPrefix = ".vet-"
	// DefaultMark is a name that nobody asks for. It stands in the first line of
	// the crt-list, which makes that certificate the default one: its own names
	// have a line of their own and so can be changed at runtime.
	DefaultMark = "default.podgate.invalid"
)

// CertificatePath is what HAProxy calls a Certificate: the path that its
// configuration says. One that is not in our folder is called by its Name.
func CertificatePath(folder, name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(folder, CertificateFolder, name)
}

// RenderCrtList returns the crt-list of s, nil if no frontend of s ends TLS.
func RenderCrtList(s haproxy.State, folder string) ([]byte, error) {
	if !s.EndsTLS() {
		return nil, nil
	}
	t := bytes.NewBuffer([]byte{})
	fallback := s.DefaultCertificate()
	for _, c := range s.Certificates {
		if c.Name == fallback {
			fmt.Fprintf(t, "%s %s\n", CertificatePath(folder, c.Name), DefaultMark)
		}
	}
	for _, c := range s.Certificates {
		if len(c.Serves) == 0 {
			continue
		}
		line, err := CrtListLine(c, folder)
		if err != nil {
			return nil, err
		}
		fmt.Fprintln(t, line)
	}
	return t.Bytes(), nil
}

// CrtListLine is the line of a Certificate that serves names, in the file and
// for "add ssl crt-list".
func CrtListLine(c haproxy.Certificate, folder string) (string, error) {
	words := append([]string{CertificatePath(folder, c.Name)}, c.Serves...)
	for i, w := range words {
		if !isWord(w) || i > 0 && strings.ContainsAny(w[:1], "![") {
			return "", fmt.Errorf("certificate %s: name %q contains a character that a crt-list cannot (this is a bug in podgate, please report it)", c.Name, w)
		}
	}
	return strings.Join(words, " "), nil
}

// tlsParams are what ends TLS on a bind.
func (d *document) tlsParams(t haproxy.Termination) []params.BindOption {
	word := func(name string) params.BindOption { return &params.BindOptionWord{Name: name} }
	value := func(name, v string) params.BindOption {
		return &params.BindOptionValue{Name: name, Value: d.word(name, v)}
	}
	options := []params.BindOption{
		word("ssl"),
		value("crt-list", filepath.Join(d.folder, CrtListFile)),
		value("ssl-min-ver", t.MinVersion),
		value("ciphers", t.Ciphers),
		value("ciphersuites", t.CipherSuites),
		word("prefer-client-ciphers"),
		value("tls-ticket-keys", filepath.Join(d.folder, TicketKeysFile)),
	}
	if t.ALPN != "" {
		options = append(options, value("alpn", t.ALPN))
	}
	if t.Default == "" {
		options = append(options, word("strict-sni"))
	}
	if t.ClientCA != "" {
		options = append(options, value("ca-file", t.ClientCA), value("verify", string(t.ClientVerify)))
	}
	return options
}

// Names are read from the first bytes of a connection, which is then led to the
// backend that they are passed through to, or to where TLS is ended: one hop on
// the box, which no connection takes that is passed through, and none while
// nothing is.

// innerName is what the bind that ends TLS behind this is called within HAProxy.
const innerName = "podgate-inner"

func sniFrontend(f haproxy.Frontend) string  { return f.Name + "_sni" }
func innerBackend(f haproxy.Frontend) string { return "podgate-inner-" + f.Name }

// addPassthrough adds the frontend that reads names, and the way to the one that
// ends TLS.
func (d *document) addPassthrough(f haproxy.Frontend, s haproxy.Settings) {
	name := sniFrontend(f)
	d.addSection(parser.Frontends, name, tcpDefaults, &models.Frontend{Name: name, DefaultBackend: innerBackend(f)})
	d.setBinds(name, bindsOf(f))
	d.addConnectionRules(name, expectProxy(f, s))
	file := d.mapFile(haproxy.PassthroughMap)
	const found, hello = "{ var(txn.podgate_pass) -m found }", "{ req.ssl_hello_type 1 }"
	lines := []string{
		fmt.Sprintf("tcp-request inspect-delay %d", s.TimeoutHTTPRequest.Milliseconds()),
		fmt.Sprintf(`tcp-request content set-var(txn.podgate_pass) req.ssl_sni,lower,map(%s) if %s`, file, hello),
		fmt.Sprintf(`tcp-request content set-var(txn.podgate_pass) req.ssl_sni,lower,regsub(^[^.]*,*),map(%s) if %s !%s`, file, hello, found),
		"use_backend %[var(txn.podgate_pass)] if " + found + " !{ var(txn.podgate_pass) -m beg ! }",
	}
	if s.RelaySecret != "" {
		lines = append(lines, secretDirective+" "+s.RelaySecret)
	}
	d.addLines(parser.Frontends, name, lines)
	inner := innerBackend(f)
	d.addSection(parser.Backends, inner, tcpDefaults, &models.Backend{Name: inner})
	d.addLines(parser.Backends, inner, []string{"server inner " + f.TLSLoopback.String() + " send-proxy-v2" + shows(s)})
}

// hsts has browsers stay with https where a Service says so.
func (d *document) hsts() string {
	lookup := fmt.Sprintf("be_name,map(%s)", d.mapFile(haproxy.HSTSMap))
	return fmt.Sprintf("http-response set-header Strict-Transport-Security max-age=%%[%s] if { %s -m found }", lookup, lookup)
}
