// SPDX-License-Identifier: Apache-2.0

package check

import (
	"fmt"
	"strconv"
	"strings"
)

// Hindrance is a setting of the operator with which podgate cannot do its work.
type Hindrance struct {
	Global
	Why  string // what does not work
	Help string // what to change
}

// String is "/etc/haproxy/haproxy.cfg:7: stats maxconn 1: HAProxy answers ... (remove the
// line ...)".
func (h Hindrance) String() string { return fmt.Sprintf("%s: %s (%s)", h.Global, h.Why, h.Help) }

const (
	// neededConnections is how many connections podgate, its commands and its poll of
	// the health checks open to a stats socket at the same time.
	neededConnections = 4
	// neededVariables is how many bytes of variables a request needs: some contain its
	// whole URL.
	neededVariables = 128 << 10
)

// Hindrances returns the settings in globals that prevent podgate from changing HAProxy,
// or HAProxy from routing requests. adminSocket is the path of haproxy.admin_socket.
func Hindrances(globals []Global, adminSocket string) (all []Hindrance) {
	for _, g := range globals {
		if why, help := g.hinders(adminSocket); why != "" {
			all = append(all, Hindrance{g, why, help})
		}
	}
	return all
}

func (g Global) hinders(adminSocket string) (why, help string) {
	two := strings.Join(g.Words[:min(2, len(g.Words))], " ")
	switch {
	case g.Words[0] == "zero-warning":
		return "HAProxy rejects every configuration that causes a warning, and so most reloads", "remove the line"
	case two == "stats maxconn" && g.number(2) < neededConnections:
		return "podgate waits for connections to the stats socket", fmt.Sprintf("podgate needs %d", neededConnections)
	case two == "stats socket" && len(g.Words) > 2 && strings.TrimPrefix(g.Words[2], "unix@") == adminSocket && g.after("level") != "admin":
		return "HAProxy rejects the changes of podgate on this socket", "add level admin"
	}
	kind, ok := strings.CutPrefix(g.Words[0], "tune.vars.")
	if ok && kind != "reqres-max-size" && kind != "check-max-size" && g.number(1) > 0 && g.number(1) < neededVariables {
		return "HAProxy cannot route requests whose variables are larger, and answers 404", fmt.Sprintf("remove the line, or write at least %d", neededVariables)
	}
	return "", ""
}

// number returns a word as a number; the largest int if it is not a number.
func (g Global) number(word int) int {
	if word < len(g.Words) {
		if n, err := strconv.Atoi(g.Words[word]); err == nil {
			return n
		}
	}
	return int(^uint(0) >> 1)
}

// after returns the word after another one.
func (g Global) after(keyword string) string {
	for i, word := range g.Words[:len(g.Words)-1] {
		if word == keyword {
			return g.Words[i+1]
		}
	}
	return ""
}
