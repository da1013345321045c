// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"podgate/haproxy"
	"podgate/haproxy/cfgfile"
)

// order is a change of a server as commands (management.txt "add server", "set
// dynamic-cookie-key", "set server", "del server").
type order struct {
	change haproxy.ServerChange
	add    string   // "" for a server that is there
	key    string   // for the cookie of an added one; "" for none
	rest   []string // when it is there and has its cookie
}

func newOrder(c haproxy.ServerChange) (order, error) {
	o := order{change: c}
	if err := checkWord("backend", c.Backend.Name); err != nil {
		return o, err
	}
	server := c.Backend.Name + "/" + c.Server.Name()
	state := "set server " + server + " state " + c.Server.State.String()
	switch c.Op {
	case haproxy.AddServer:
		return o, o.addServer(server, state)
	case haproxy.SetServer:
		if c.Server.State != haproxy.Maint {
			// Its name is its address, whatever became of it since.
			addr := c.Server.Addr
			o.rest = append(o.rest, fmt.Sprintf("set server %s addr %s port %d", server, addr.Addr(), addr.Port()), fmt.Sprintf("set server %s weight %d", server, max(1, c.Server.Weight)))
		}
		o.rest = append(o.rest, state)
	case haproxy.DeleteServer:
		o.rest = []string{"set server " + server + " state maint", "del server " + server}
	default:
		return o, fmt.Errorf("%q is not an operation on a server", c.Op)
	}
	return o, nil
}

// addServer adds a server, which starts in maint, and lets it serve. HAProxy 2.6
// gives it a cookie only when the key is set again.
func (o *order) addServer(server, state string) error {
	b := o.change.Backend
	line := cfgfile.ServerLine(b.Options, o.change.Server)
	if err := checkLine("server", line); err != nil {
		return err
	}
	o.add = "add server " + b.Name + "/" + line
	if b.Policy.Cookie != "" {
		if err := checkWord("cookie key", b.Policy.CookieKey); err != nil {
			return err
		}
		o.key = "set dynamic-cookie-key backend " + b.Name + " " + b.Policy.CookieKey
	}
	if b.Options.Check {
		o.rest = append(o.rest, "enable health "+server)
	}
	if o.change.Server.State == haproxy.Ready {
		state = "enable server " + server
	}
	o.rest = append(o.rest, state)
	return nil
}

// cost is what the order takes of a line, at most.
func (o order) cost() int {
	n := cost(o.add) + cost(o.key)
	for _, command := range o.rest {
		n += cost(command)
	}
	return n
}

// changeServers makes the changes in their order, as many to a line as fit.
func (x exchanger) changeServers(ctx context.Context, changes []haproxy.ServerChange, a *Applied) error {
	var orders []order
	size := len(separator) + 1
	for _, change := range changes {
		o, err := newOrder(change)
		if err != nil {
			a.reject(change, err.Error())
			continue
		}
		if size+o.cost() > maxLine {
			if err := x.send(ctx, orders, a); err != nil {
				return err
			}
			orders, size = nil, len(separator)+1
		}
		orders = append(orders, o)
		size += o.cost()
	}
	return x.send(ctx, orders, a)
}

// send makes the changes of one line: first every server that is new, then the
// cookies, then the rest. A key is set once for all of a line, because HAProxy
// then compares the cookies of every two servers of the backend.
func (x exchanger) send(ctx context.Context, orders []order, a *Applied) error {
	var adds, keys, rest []string
	for _, o := range orders {
		if o.add != "" {
			adds = append(adds, o.add)
		}
		if o.key != "" && !slices.Contains(keys, o.key) {
			keys = append(keys, o.key)
		}
		rest = append(rest, o.rest...)
	}
	commands := slices.Concat(adds, keys, rest)
	if len(commands) == 0 {
		return nil
	}
	a.Commands += len(commands)
	replies, err := x.exchange(ctx, commands...)
	if err != nil {
		return err
	}
	added, replies := replies[:len(adds)], replies[len(adds):]
	keyed, replies := replies[:len(keys)], replies[len(keys):]
	for _, o := range orders {
		var r outcome
		if o.add != "" {
			r.add, added = added[0], added[1:]
		}
		if o.key != "" {
			r.key = keyed[slices.Index(keys, o.key)]
		}
		r.rest, replies = replies[:len(o.rest)], replies[len(o.rest):]
		a.judge(o.change, r)
	}
	return nil
}

// outcome holds HAProxy's replies to one order.
type outcome struct {
	add, key string
	rest     []string
}

func (a *Applied) judge(c haproxy.ServerChange, r outcome) {
	switch c.Op {
	case haproxy.AddServer:
		if !strings.Contains(r.add, "New server registered.") && !exists(r.add, c.Server) {
			a.reject(c, r.add)
			return
		}
		if r.key != "" {
			a.reject(c, r.key)
			return
		}
	case haproxy.SetServer:
		if len(r.rest) > 1 && addrIsSet(r.rest[0]) {
			r.rest = r.rest[1:]
		}
	case haproxy.DeleteServer:
		a.judgeDelete(c, r.rest[1])
		return
	}
	for _, reply := range r.rest {
		if reply != "" {
			a.reject(c, reply)
			return
		}
	}
}

// addrIsSet reports whether "set server addr" left the server with the address
// that it was given. The first of the replies is that of 2.6, the second that of
// newer ones, to the address that it had.
func addrIsSet(reply string) bool {
	return strings.HasPrefix(reply, "no need to change the addr") ||
		strings.HasPrefix(reply, "nothing changed") ||
		strings.Contains(reply, " changed from ")
}

// exists reports whether a server could not be added because it is there. Its id
// gives it away before its name does.
func exists(reply string, s haproxy.Server) bool {
	return strings.Contains(reply, "Already exists a server with the same name") ||
		strings.Contains(reply, "already used") && strings.Contains(reply, "('server "+s.Name()+"')")
}

func (a *Applied) judgeDelete(c haproxy.ServerChange, reply string) {
	switch {
	case strings.Contains(reply, "Server deleted."), strings.Contains(reply, "No such server."):
	case strings.Contains(reply, "still has connections"), strings.Contains(reply, "maintenance mode"):
		a.Pending = append(a.Pending, c)
	default:
		a.reject(c, reply)
	}
}
