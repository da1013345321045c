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

// serverCommands are the commands of a ServerChange (management.txt "add server", "set
// dynamic-cookie-key", "set server", "del server").
type serverCommands struct {
	change  haproxy.ServerChange
	attempt int      // which of its ids an added server gets
	add     string   // "" for an existing server
	key     string   // sets the cookie of an added server; "" without cookies
	rest    []string // the commands after add and key
}

func newServerCommands(c haproxy.ServerChange, attempt int) (serverCommands, error) {
	o := serverCommands{change: c, attempt: attempt}
	if err := checkWord("backend", c.Backend.ProxyName()); err != nil {
		return o, err
	}
	server := serverPath(c)
	state := "set server " + server + " state " + c.Server.State.String()
	switch c.Op {
	case haproxy.AddServer:
		return o, o.addServer(server, state)
	case haproxy.SetServer:
		if c.Server.State != haproxy.Maint {
			// Another client may have changed the address.
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

// serverPath is the name of the server in commands: "shop_cart_80/10.1.2.3:8080".
func serverPath(c haproxy.ServerChange) string { return c.Backend.ProxyName() + "/" + c.Server.Name() }

// addServer sets the commands that add a server, which HAProxy starts in maint, and
// then set its state. HAProxy 2.6 gives it a cookie only after the key is set again.
func (o *serverCommands) addServer(server, state string) error {
	b := o.change.Backend
	line := cfgfile.ServerLine(b.Options, o.change.Server, haproxy.ServerID(o.change.Server.Addr, o.attempt))
	if err := checkLine("server", line); err != nil {
		return err
	}
	o.add = "add server " + b.ProxyName() + "/" + line
	if b.Policy.Cookie != "" {
		if err := checkWord("cookie key", b.Policy.CookieKey); err != nil {
			return err
		}
		o.key = "set dynamic-cookie-key backend " + b.ProxyName() + " " + b.Policy.CookieKey
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

// cost is the maximum length that the commands add to a line.
func (o serverCommands) cost() int {
	n := cost(o.add) + cost(o.key)
	for _, command := range o.rest {
		n += cost(command)
	}
	return n
}

// changeServers makes the changes in their order, with as many per line as fit.
func (x exchanger) changeServers(ctx context.Context, changes []haproxy.ServerChange, a *Applied) error {
	if len(changes) == 0 {
		return nil
	}
	l, err := x.limits(ctx)
	if err != nil {
		return err
	}
	var all []serverCommands
	size := emptyLine
	for _, change := range changes {
		o, err := newServerCommands(change, 0)
		if err != nil {
			a.reject(change, err.Error())
			continue
		}
		if emptyLine+o.cost() > l.line {
			a.Rejected = append(a.Rejected, Rejection{Change: change, Reply: errTooLarge.Error(), AtReload: true})
			continue
		}
		if size+o.cost() > l.line {
			if err := x.sendServerCommands(ctx, all, a); err != nil {
				return err
			}
			all, size = nil, emptyLine
		}
		all = append(all, o)
		size += o.cost()
	}
	return x.sendServerCommands(ctx, all, a)
}

// sendServerCommands sends the commands of one line: first those that add servers, then
// the cookie keys, then the rest. It sets a key once per line, because HAProxy then
// compares the cookies of every two servers of the backend. An add whose id another
// server has is sent again with its next id.
func (x exchanger) sendServerCommands(ctx context.Context, all []serverCommands, a *Applied) error {
	var adds, keys, rest []string
	for _, o := range all {
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
	var again []serverCommands
	for _, o := range all {
		var r serverReplies
		if o.add != "" {
			r.add, added = added[0], added[1:]
		}
		if o.key != "" {
			r.key = keyed[slices.Index(keys, o.key)]
		}
		r.rest, replies = replies[:len(o.rest)], replies[len(o.rest):]
		if idTaken(r.add, o.change.Server) && o.attempt < lastAttempt {
			next, _ := newServerCommands(o.change, o.attempt+1) // without an error, as before
			again = append(again, next)
			continue
		}
		a.record(o.change, r)
	}
	return x.sendServerCommands(ctx, again, a)
}

// lastAttempt bounds how many ids of a server are tried. More than one or two being
// taken has another cause than chance.
const lastAttempt = 4

// serverReplies are HAProxy's replies to serverCommands.
type serverReplies struct {
	add, key string
	rest     []string
}

// record adds the result of a change to a.
func (a *Applied) record(c haproxy.ServerChange, r serverReplies) {
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
		a.recordDelete(c, r.rest[1])
		return
	}
	for _, reply := range r.rest {
		if reply != "" {
			a.reject(c, reply)
			return
		}
	}
}

// addrIsSet reports whether the server has the address of "set server addr", by the
// reply. If it had that address before, 2.6 replies the first text and newer versions
// the second.
func addrIsSet(reply string) bool {
	return strings.HasPrefix(reply, "no need to change the addr") ||
		strings.HasPrefix(reply, "nothing changed") ||
		strings.Contains(reply, " changed from ")
}

// exists reports whether a server could not be added because it exists. HAProxy checks
// the id before the name.
func exists(reply string, s haproxy.Server) bool {
	return strings.Contains(reply, "Already exists a server with the same name") ||
		strings.Contains(reply, "already used") && strings.Contains(reply, "('server "+s.Name()+"')")
}

// idTaken reports whether a server could not be added because another one has its id.
func idTaken(reply string, s haproxy.Server) bool {
	return strings.Contains(reply, "already used") && !exists(reply, s)
}

func (a *Applied) recordDelete(c haproxy.ServerChange, reply string) {
	switch {
	case strings.Contains(reply, "Server deleted."), strings.Contains(reply, "No such server."):
	case strings.Contains(reply, "still has connections"), strings.Contains(reply, "maintenance mode"):
		a.Pending = append(a.Pending, c)
	default:
		a.reject(c, reply)
	}
}
