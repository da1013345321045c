// SPDX-License-Identifier: Apache-2.0

package cfgfile

import (
	"strconv"
	"time"

	"github.com/haproxytech/client-native/v5/config-parser/params"
	"github.com/haproxytech/client-native/v5/configuration"
	"github.com/haproxytech/client-native/v5/models"

	"podgate/haproxy"
)

// poolPurgeDelay is how long HAProxy keeps an idle connection to a server. HAProxy 2.6
// keeps none to a server that was added at run time without this parameter.
const poolPurgeDelay = 5 * time.Second

// ServerLine returns the text of a server after "server " in the file and after "add
// server BACKEND/" on the runtime API: its name, address and all parameters, because
// HAProxy ignores "default-server" for servers that are added at run time
// (management.txt "add server"). id is one of its ids (haproxy.ServerID).
func ServerLine(o haproxy.Options, s haproxy.Server, id int) string {
	return string(appendServerLine(nil, serverParams(o), s, id))
}

func appendServerLine(line []byte, params string, s haproxy.Server, id int) []byte {
	addr := s.Addr
	line = append(line, haproxy.ServerName(addr)...)
	line = addr.AppendTo(append(line, ' '))
	line = append(append(line, ' '), params...)
	if s.Weight != 0 {
		line = strconv.AppendInt(append(line, " weight "...), int64(s.Weight), 10)
	}
	return strconv.AppendInt(append(line, " id "...), int64(id), 10)
}

// serverParams renders the parameters that all servers of a backend have.
func serverParams(o haproxy.Options) string {
	p := models.ServerParams{
		PoolMaxConn:    ptr(int64(-1)),
		PoolPurgeDelay: milliseconds(poolPurgeDelay),
	}
	if o.Check {
		p.Check = "enabled"
		p.Inter = milliseconds(o.CheckInterval)
	}
	if o.MaxConn != 0 {
		p.Maxconn = ptr(int64(o.MaxConn))
	}
	p.Slowstart = milliseconds(o.SlowStart)
	switch o.SendProxy {
	case haproxy.ProxyV1:
		p.SendProxy = "enabled"
	case haproxy.ProxyV2:
		p.SendProxyV2 = "enabled"
	}
	if o.SendProxy != "" && o.Check {
		p.CheckSendProxy = "enabled"
	}
	switch o.Protocol {
	case haproxy.TLS:
		p.Ssl, p.Verify = "enabled", "none"
	case haproxy.H2:
		p.Ssl, p.Verify, p.Alpn = "enabled", "none", "h2"
		if o.Check {
			p.CheckAlpn = "h2" // "alpn" does not apply to checks
		}
	case haproxy.H2C:
		p.Proto = "h2"
	case haproxy.Plain:
	}
	if p.Ssl != "" && o.Check {
		p.CheckSsl = "enabled" // "ssl" does not apply to checks of servers that are added at run time
	}
	if p.Ssl != "" && o.ServerName != "" {
		p.Sni = "var(" + serverNameVariable + "," + o.ServerName + ")"
		if o.Check {
			p.CheckSni = o.ServerName
		}
	}
	if o.CAFile != "" {
		p.Verify, p.SslCafile = "required", o.CAFile
		p.Sni, p.Verifyhost = "str("+o.ServerName+")", o.ServerName
	}
	return params.ServerOptionsString(configuration.SerializeServerParams(p))
}

func ptr[T any](v T) *T { return &v }

// milliseconds returns a duration for client-native's models; nil for zero.
func milliseconds(d time.Duration) *int64 {
	if d == 0 {
		return nil
	}
	return ptr(d.Milliseconds())
}
