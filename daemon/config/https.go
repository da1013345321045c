// SPDX-License-Identifier: Apache-2.0

package config

import (
	"errors"
	"net/netip"
	"time"
)

// HTTPS is the TLS frontend, and the TLS settings of TCP ports. Paths are absolute.
type HTTPS struct {
	Binds              []netip.AddrPort // key "bind"; empty for no such frontend
	Certificates       []string         // files, and folders with certificates
	DefaultCertificate string           // file; "" rejects clients without a matching server name
	MinVersion         string           // "TLSv1.2" or "TLSv1.3"
	Ciphers            string           // of TLS 1.2, OpenSSL names
	CipherSuites       string           // of TLS 1.3
	ALPN               []string
	ClientCA           string // file; "" requests no client certificate
	ClientCertificate  ClientCertificate
	BackendCAFolder    string         // of bundles, NAME.pem or NAME.crt; "" for none
	Relay              netip.AddrPort // as that of HTTP
	Inner              netip.AddrPort // where TLS is terminated if the TLS frontend also has passthrough ports
	RedirectPort       int            // that redirect-https redirects to
	TicketKeyInterval  time.Duration  // time between two rotations of the ticket key
}

// ClientCertificate is whether clients need a certificate of ClientCA.
type ClientCertificate string

// ClientOptional accepts clients without one, ClientRequired rejects them.
const (
	ClientOptional ClientCertificate = "optional"
	ClientRequired ClientCertificate = "required"
)

// defaultHTTPS is Mozilla's intermediate profile, version 5.8
// (https://ssl-config.mozilla.org).
func defaultHTTPS() HTTPS {
	return HTTPS{
		MinVersion: "TLSv1.2",
		Ciphers: "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:" +
			"ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305",
		CipherSuites:      "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256",
		ALPN:              []string{"h2", "http/1.1"},
		ClientCertificate: ClientOptional,
		Relay:             netip.MustParseAddrPort("127.0.0.1:10802"),
		Inner:             netip.MustParseAddrPort("127.0.0.1:10803"),
		RedirectPort:      443,
		TicketKeyInterval: 12 * time.Hour,
	}
}

func (h *HTTPS) keys() []key {
	const s = "https"
	return []key{
		{s, "bind", bindList(&h.Binds), immediately,
			"Addresses of the TLS frontend, which serves sslTerm and passthrough ports. An empty list disables the frontend."},
		{s, "certificates", list(&h.Certificates, "list of absolute paths", fromString(absolutePath), quote, distinct[string]), immediately,
			"Files and folders with certificates, chains and keys in PEM; podgate re-reads them when they change."},
		{s, "default_certificate", text(&h.DefaultCertificate, "absolute path", orEmpty(absolutePath)), immediately,
			"File with the certificate for clients that send no server name, or one that no certificate matches. If empty, HAProxy rejects the handshakes of these clients."},
		{s, "min_version", choice(&h.MinVersion, "TLSv1.2", "TLSv1.3"), immediately,
			"Minimum TLS version for clients."},
		{s, "ciphers", text(&h.Ciphers, "OpenSSL names separated by :", cipherList), immediately,
			"TLS 1.2 ciphers for clients; the default is Mozilla's intermediate profile."},
		{s, "cipher_suites", text(&h.CipherSuites, "OpenSSL names separated by :", cipherList), immediately,
			"TLS 1.3 cipher suites for clients."},
		{s, "alpn", list(&h.ALPN, "list of h2 and http/1.1", fromString(alpn), quote, distinct[string]), immediately,
			"Protocols that the TLS frontend offers to clients (ALPN), the preferred one first."},
		{s, "client_ca", text(&h.ClientCA, "absolute path", orEmpty(absolutePath)), immediately,
			"File with the CA certificates that verify client certificates, in PEM. If empty, HAProxy requests no client certificate."},
		{s, "client_certificate", choice(&h.ClientCertificate, ClientOptional, ClientRequired), immediately,
			"Whether clients must present a certificate if client_ca is set. HAProxy always rejects a certificate of another CA."},
		{s, "backend_ca_folder", text(&h.BackendCAFolder, "absolute path", orEmpty(absolutePath)), immediately,
			"Folder with CA bundles in PEM, NAME.pem or NAME.crt, for the annotation backend-verify; empty for none."},
		{s, "relay", relayAddr(&h.Relay), immediately,
			"The same as http.relay, for the TLS frontend; podgate does not use it if client_ca is set."},
		{s, "inner", scalar(&h.Inner, `"IPv4:PORT" or "[IPv6]:PORT", loopback`, fromString(inner), printRelay), immediately,
			"Loopback address on which HAProxy terminates TLS while the TLS frontend also serves passthrough ports."},
		{s, "redirect_port", integer(&h.RedirectPort, 1, 65535), immediately,
			"Port to which the annotation redirect-https redirects clients, as clients see it."},
		{s, "ticket_key_interval", duration(&h.TicketKeyInterval, time.Minute, 168*time.Hour), immediately,
			"Time between two rotations of the TLS session ticket key. The previous key stays valid for one more interval."},
	}
}

// cipherList checks a list that HAProxy passes to OpenSSL.
func cipherList(s string) (string, error) {
	if s == "" {
		return "", errors.New("is empty")
	}
	return s, checkWord(s, "-_:+!@=.")
}

func alpn(s string) (string, error) { return s, checkChoice(s, []string{"h2", "http/1.1"}) }

// inner is relay, and rejects "".
func inner(s string) (netip.AddrPort, error) {
	if s == "" {
		return netip.AddrPort{}, errors.New("is empty")
	}
	return relay(s)
}

// checkHTTPS rejects keys without effect.
func (d *document) checkHTTPS(h *HTTPS) {
	if !d.valid("https.bind") || len(h.Binds) > 0 {
		return
	}
	for key, given := range map[string]bool{
		"https.certificates": len(h.Certificates) > 0, "https.default_certificate": h.DefaultCertificate != "", "https.client_ca": h.ClientCA != "",
	} {
		if given {
			d.reject(key, key, `has no effect without bind (write bind = [":443"])`)
		}
	}
}
