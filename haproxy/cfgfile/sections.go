// SPDX-License-Identifier: Apache-2.0

package cfgfile

import (
	"strconv"
	"time"

	"podgate/haproxy"
)

// Sections are what ConfigFile is made of: what stands before its backends, and
// how a backend is written out. They hold while nothing but servers changes, and
// may be used concurrently.
//
// A backend is a header of few lines and many equal server lines, for which
// client-native renders the parameters once.
type Sections struct {
	head    []byte
	params  map[haproxy.Options]string
	classes map[haproxy.Policy]string
	shared  string // behind a stick table that the peers share
}

func newSections() *Sections {
	return &Sections{params: map[haproxy.Options]string{}, classes: map[haproxy.Policy]string{}}
}

// Head is what stands before the first backend.
func (s *Sections) Head() []byte { return s.head }

// AppendBackend appends the section of a backend, with its servers. The State
// that was rendered has it, with whatever servers.
func (s *Sections) AppendBackend(text []byte, b *haproxy.Backend) []byte {
	text = s.appendHead(text, b)
	params := s.serverParams(b.Options)
	for _, server := range b.Servers {
		text = append(appendServerLine(append(text, "  server "...), params, server), '\n')
	}
	return text
}

// learn renders what b has in common with others.
func (s *Sections) learn(b *haproxy.Backend) {
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

// appendHead appends the section without its servers.
func (s *Sections) appendHead(text []byte, b *haproxy.Backend) []byte {
	text = append(append(text, "\nbackend "...), b.Name...)
	text = append(append(append(text, " from "...), s.class(b.Policy)...), '\n')
	if b.Policy.Mode == haproxy.TCP && b.TimeoutServer != 0 {
		text = append(strconv.AppendInt(append(text, "  timeout server "...), b.TimeoutServer.Milliseconds(), 10), '\n')
	}
	if b.Options.CAFile != "" {
		// HAProxy loads it now and so has it for servers that are added at runtime.
		text = append(append(append(text, "  default-server ssl verify required ca-file "...), b.Options.CAFile...), '\n')
	}
	if b.Policy.ClientAffinity != 0 {
		text = strconv.AppendInt(append(text, "  stick-table type ipv6 size 100k expire "...), b.Policy.ClientAffinity.Milliseconds(), 10)
		text = append(append(text, s.shared...), "\n  stick on src\n"...)
	}
	return text
}

// sample stands for all light backends: it changes when a podgate renders them
// otherwise than the one before.
func (s *Sections) sample() string {
	text := s.appendHead(nil, &haproxy.Backend{Name: "sample", Policy: haproxy.Policy{Mode: haproxy.HTTP}})
	for _, p := range []haproxy.Protocol{haproxy.Plain, haproxy.TLS, haproxy.H2, haproxy.H2C} {
		params := s.serverParams(haproxy.Options{Protocol: p, Check: true, CheckInterval: time.Second, MaxConn: 1})
		text = append(append(text, params...), '\n')
	}
	return string(text)
}

// size is about how long the sections of backends are.
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
