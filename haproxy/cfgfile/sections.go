// SPDX-License-Identifier: Apache-2.0

package cfgfile

import (
	"cmp"
	"strconv"
	"time"

	"podgate/haproxy"
)

// Sections renders ConfigFile: the head, and one section for each backend. It is valid
// until something other than servers changes, and may be used concurrently.
//
// The section of a backend has a few lines, and a line for each server, whose
// parameters client-native renders once for all backends with the same Options.
type Sections struct {
	head    []byte
	params  map[haproxy.Options]string
	classes map[haproxy.Policy]string
	shared  string // option of stick tables that the peers share; "" without peers
	// stateFile is the path of the file of server states; "" if the global section names it.
	stateFile string
	spare     string // rule of a spare
}

func newSections() *Sections {
	return &Sections{params: map[haproxy.Options]string{}, classes: map[haproxy.Policy]string{}}
}

// Head returns the text before the first backend.
func (s *Sections) Head() []byte { return s.head }

// AppendBackend appends the section of a backend, with its servers. The rendered State
// must contain the backend; its servers may differ.
func (s *Sections) AppendBackend(text []byte, b *haproxy.Backend) []byte {
	text = s.appendHead(text, b)
	params := s.serverParams(b.Options)
	ids := make(haproxy.ServerIDs, len(b.Servers))
	for _, server := range b.Servers {
		text = append(appendServerLine(append(text, "  server "...), params, server, ids.Next(server.Addr)), '\n')
	}
	return text
}

// addCommon renders the parts of b that other backends can share.
func (s *Sections) addCommon(b *haproxy.Backend) {
	if _, ok := s.params[b.Options]; !ok {
		s.params[b.Options] = serverParams(b.Options)
	}
	if _, ok := s.classes[b.Policy]; !ok {
		s.classes[b.Policy] = Class(b.Policy)
	}
}

func (s *Sections) serverParams(o haproxy.Options) string {
	if p, ok := s.params[o]; ok {
		return p
	}
	return serverParams(o)
}

func (s *Sections) class(p haproxy.Policy) string {
	if name, ok := s.classes[p]; ok {
		return name
	}
	return Class(p)
}

// appendHead appends the section without the servers. That of a spare does not depend on
// the backend that has taken it.
func (s *Sections) appendHead(text []byte, b *haproxy.Backend) []byte {
	text = append(append(text, "\nbackend "...), b.ProxyName()...)
	text = append(append(append(text, " from "...), s.class(b.Policy)...), '\n')
	if s.stateFile != "" {
		text = append(append(append(text, "  load-server-state-from-file local\n  server-state-file-name "...), s.stateFile...), '\n')
	}
	if b.Spare != "" {
		text = append(append(append(text, "  "...), s.spare...), '\n')
	}
	if b.Policy.Mode == haproxy.TCP {
		text = appendTimeout(text, "server", b.TimeoutServer)
		text = appendTimeout(text, "tunnel", cmp.Or(b.TimeoutTunnel, b.TimeoutServer))
	}
	if b.Options.CAFile != "" {
		// With this line HAProxy loads the file, and can use it for servers that are added
		// at run time.
		text = append(append(append(text, "  default-server ssl verify required ca-file "...), b.Options.CAFile...), '\n')
	}
	if b.Policy.ClientAffinity != 0 {
		text = strconv.AppendInt(append(text, "  stick-table type ipv6 size 100k expire "...), b.Policy.ClientAffinity.Milliseconds(), 10)
		text = append(append(text, s.shared...), "\n  stick on src\n"...)
	}
	return text
}

func appendTimeout(text []byte, name string, d time.Duration) []byte {
	if d == 0 {
		return text
	}
	text = append(append(append(text, "  timeout "...), name...), ' ')
	return append(strconv.AppendInt(text, d.Milliseconds(), 10), '\n')
}

// sample returns the text of an example of a dynamic backend. The generation depends
// on it, so that it changes if another version of podgate renders such backends
// differently.
func (s *Sections) sample() string {
	text := s.appendHead(nil, &haproxy.Backend{Name: "sample", Policy: haproxy.Policy{Mode: haproxy.HTTP}})
	for _, p := range []haproxy.Protocol{haproxy.Plain, haproxy.TLS, haproxy.H2, haproxy.H2C} {
		params := s.serverParams(haproxy.Options{Protocol: p, Check: true, CheckInterval: time.Second, MaxConn: 1})
		text = append(append(text, params...), '\n')
	}
	return string(text)
}

// size returns the approximate length of the sections of backends.
func (s *Sections) size(backends haproxy.Backends) (size int) {
	const (
		headSize       = 160
		serverLineSize = len("  server 255.255.255.255:65535 255.255.255.255:65535  id 2147483647\n")
	)
	for _, b := range backends.All() {
		size += headSize + len(b.Servers)*(serverLineSize+len(s.serverParams(b.Options)))
	}
	return size
}
