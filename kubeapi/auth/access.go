// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"time"
)

// access is how to reach one API server and how to authenticate: the result of
// reading a context of a kubeconfig, or plain settings.
type access struct {
	server     string
	servers    []string // more of the same cluster
	serverName string   // tls-server-name; "" is the server's own
	insecure   bool     // the server's certificate is not verified
	proxy      string   // "" is the one of the environment

	ca       []byte // PEM; nil is the system's bundle
	caOrigin string // file or key of ca, for errors

	cert, key  []byte // PEM; nil without a client certificate
	certOrigin string

	token       string // "" without; never printed
	tokenFile   string // is used instead of token
	tokenOrigin string

	exec *execConfig // is used instead of token and tokenFile; nil without

	files []string // that this was read from
}

// urls returns the addresses of the servers, one or more.
func (a access) urls() ([]*url.URL, error) {
	var urls []*url.URL
	for _, server := range append([]string{a.server}, a.servers...) {
		u, err := serverURL(server)
		if err != nil {
			return nil, err
		}
		urls = append(urls, u)
	}
	return urls, nil
}

func serverURL(server string) (*url.URL, error) {
	u, err := url.Parse(server)
	if err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") {
		return nil, fmt.Errorf("choose the API server: %q is not a URL such as https://10.0.0.1:6443", server)
	}
	if u.User != nil {
		return nil, fmt.Errorf("choose the API server: %q holds a user name, which Kubernetes does not accept", u.Redacted())
	}
	return u, nil
}

// credential names the credential, for errors, if there is one.
func (a access) credential() string {
	switch {
	case a.exec != nil:
		return fmt.Sprintf("the output of the credential plugin %q", a.exec.Command)
	case a.tokenFile != "":
		return "the token in " + a.tokenFile
	case a.token != "":
		return a.tokenOrigin
	case a.cert != nil:
		return "the client certificate in " + a.certOrigin
	}
	return ""
}

// transport returns a connection pool to the server, with the client certificate but
// without a token.
func (a access) transport() (*http.Transport, error) {
	config, err := a.tlsConfig()
	if err != nil {
		return nil, err
	}
	proxy := http.ProxyFromEnvironment
	if a.proxy != "" {
		u, err := url.Parse(a.proxy)
		if err != nil || u.Host == "" {
			return nil, fmt.Errorf("read proxy-url of the kubeconfig: not a URL such as http://10.0.0.1:3128 or socks5://10.0.0.1:1080")
		}
		proxy = http.ProxyURL(u)
	}
	return &http.Transport{
		Proxy:                  proxy,
		DialContext:            dial,
		TLSClientConfig:        config,
		TLSHandshakeTimeout:    10 * time.Second,
		IdleConnTimeout:        90 * time.Second,
		MaxResponseHeaderBytes: 1 << 20,
		ForceAttemptHTTP2:      true, // else TLSClientConfig disables it
		// A watch may have no event for a minute: only pings distinguish that from a
		// connection that a firewall drops.
		HTTP2: &http.HTTP2Config{SendPingTimeout: 30 * time.Second, PingTimeout: 15 * time.Second},
	}, nil
}

func (a access) tlsConfig() (*tls.Config, error) {
	config := &tls.Config{
		MinVersion:         tls.VersionTLS12,
		ServerName:         a.serverName,
		InsecureSkipVerify: a.insecure,
	}
	if a.ca != nil {
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(a.ca) {
			return nil, fmt.Errorf("read CA: %s holds no PEM certificate", a.caOrigin)
		}
	}
	if a.cert != nil {
		pair, err := tls.X509KeyPair(a.cert, a.key)
		if err != nil {
			return nil, fmt.Errorf("read client certificate in %s: %v", a.certOrigin, err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}

// dial makes a connection. An address that does not answer is given up soon, because
// the server may return before the next attempt. A name may have to wait for a second
// DNS server, which is asked after 5 seconds.
func dial(ctx context.Context, network, address string) (net.Conn, error) {
	d := net.Dialer{Timeout: 10 * time.Second, KeepAlive: 15 * time.Second}
	if _, err := netip.ParseAddrPort(address); err == nil {
		d.Timeout = 2 * time.Second
	}
	return d.DialContext(ctx, network, address)
}
