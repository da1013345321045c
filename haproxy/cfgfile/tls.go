// SPDX-License-Identifier: Apache-2.0

package cfgfile

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strings"

	parser "github.com/haproxytech/client-native/v5/config-parser"
	"github.com/haproxytech/client-native/v5/config-parser/params"
	"github.com/haproxytech/client-native/v5/configuration"
	"github.com/haproxytech/client-native/v5/models"

	"podgate/haproxy"
)

const (
	// CertificateFolder is the folder in podgate's folder with a file for each
	// Certificate, and for the authorities.
	CertificateFolder = "certificates"
	// CrtListFile is the list of certificates of every TLS frontend of podgate
	// (configuration.txt "crt-list").
	CrtListFile = "certificates.crtlist"
	// TicketKeysFile holds the keys of session tickets, so that sessions outlive
	// a reload (configuration.txt "tls-ticket-keys").
	TicketKeysFile = "tickets.keys"
	// StagingPrefix is the prefix of folders in podgate's folder that hold keys during a
	// check. A process that was killed can leave such a folder.
	StagingPrefix = ".vet-"
	// DefaultMark is a host name that no client sends. It is the only name in the first
	// line of the crt-list, which makes that certificate the default one. The names that
	// the certificate serves are in another line, which can change without a reload.
	DefaultMark = "default.podgate.invalid"
)

// CertificatePath returns HAProxy's name for a Certificate, which is its path as in
// the configuration. For a certificate outside podgate's folder that is its Name.
func CertificatePath(folder, name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(folder, CertificateFolder, name)
}

// RenderCrtList returns the crt-list of s, nil if no frontend of s ends TLS. The error
// names the first certificate that cannot be rendered.
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

// CrtListLine returns the line of a Certificate in the crt-list and for "add ssl
// crt-list". It must serve at least one name.
func CrtListLine(c haproxy.Certificate, folder string) (string, error) {
	words := append([]string{CertificatePath(folder, c.Name)}, c.Serves...)
	for i, w := range words {
		if !isWord(w) || i > 0 && strings.ContainsAny(strings.TrimPrefix(w, haproxy.NotServed), "![") {
			return "", fmt.Errorf("certificate %s: name %q contains a character that a crt-list does not allow (this is a bug in podgate, please report it)", c.Name, w)
		}
	}
	return strings.Join(words, " "), nil
}

// tlsParams returns the options of a bind that ends TLS.
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

// For TLS passthrough a frontend in TCP mode reads the host name (SNI) from the first
// bytes of a connection. It leads the connection to the backend of that host, or over
// a loopback address to the frontend that ends TLS. A State without passthrough has no
// such frontend and no such detour.

// tlsLoopbackName is the name of the bind that ends TLS after that detour.
const tlsLoopbackName = "podgate-inner"

func sniFrontend(f haproxy.Frontend) string        { return f.Name + "_sni" }
func tlsLoopbackBackend(f haproxy.Frontend) string { return "podgate-inner-" + f.Name }

// addPassthrough adds the frontend that reads host names, and the backend that leads
// to the frontend that ends TLS.
func (d *document) addPassthrough(f haproxy.Frontend, s haproxy.Settings) {
	name := sniFrontend(f)
	d.addSection(parser.Frontends, name, tcpDefaults, &models.Frontend{Name: name, DefaultBackend: tlsLoopbackBackend(f)})
	d.set(name, "bind", bindsOf(f))
	addRules(d, name, "tcp-request", expectProxy(f, s), configuration.SerializeTCPRequestRule)
	file := d.mapFile(haproxy.PassthroughMap)
	const found, sent = "{ var(txn.podgate_pass) -m found }", "var(txn.podgate_name)"
	lines := []string{fmt.Sprintf("tcp-request inspect-delay %d", s.TimeoutHTTPRequest.Milliseconds())}
	lines = append(lines, helloNameRules()...)
	lines = append(lines,
		fmt.Sprintf("tcp-request content set-var(txn.podgate_pass) %s,map(%s)", sent, file),
		fmt.Sprintf("tcp-request content set-var(txn.podgate_pass) %s,regsub(^[^.]*,*),map(%s) if !%s", sent, file, found),
		"use_backend %[var(txn.podgate_pass)] if "+found+" !{ var(txn.podgate_pass) -m beg ! }",
	)
	if s.RelaySecret != "" {
		lines = append(lines, secretDirective+" "+s.RelaySecret)
	}
	d.addLines(parser.Frontends, name, lines)
	inner := tlsLoopbackBackend(f)
	d.addSection(parser.Backends, inner, tcpDefaults, &models.Backend{Name: inner})
	d.addLines(parser.Backends, inner, []string{"server inner " + f.TLSLoopback.String() + " send-proxy-v2" + secretOption(s)})
}

// misdirected returns the rules that answer a request for a host whose TLS is passed
// through. It was sent on a connection for another host whose certificate has both
// names, as browsers do (RFC 9113 section 9.1.1), or on one that is older than the
// passthrough. After 421 the client sends the request on a new connection (RFC 9110
// section 15.5.20). State.Match returns the passthrough for such a host, too.
func (d *document) misdirected() []models.HTTPRequestRule {
	passed := ",map(" + d.mapFile(haproxy.PassthroughMap) + ")"
	return []models.HTTPRequestRule{
		setVar("pass", "var(txn.podgate_host)"+passed, "", ""),
		setVar("pass", zoneOfHost+passed, "unless", has("pass")),
		{
			Type: "return", ReturnStatusCode: ptr(int64(421)),
			ReturnContentType:   ptr("text/plain"),
			ReturnContentFormat: "string",
			ReturnContent:       `"421 this host requires a TLS connection of its own\n"`,
			Cond:                "if", CondTest: has("pass") + " !{ var(txn.podgate_pass) -m beg ! }",
		},
	}
}

// hsts returns the rule that sends the Strict-Transport-Security of a Service.
func (d *document) hsts() string {
	lookup := fmt.Sprintf("be_name,map(%s)", d.mapFile(haproxy.HSTSMap))
	return fmt.Sprintf("http-response set-header Strict-Transport-Security max-age=%%[%s] if { %s -m found }", lookup, lookup)
}
