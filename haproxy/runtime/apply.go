// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"context"
	"fmt"
	"strings"

	"podgate/haproxy"
	"podgate/haproxy/cfgfile"
)

// Applied tells what became of a Plan.
type Applied struct {
	Commands int                    // sent to HAProxy, refused ones among them
	Pending  []haproxy.ServerChange // deletes that wait for a server's last connection
	Refused  []Refusal
}

// Refusal is what HAProxy did not take of a Plan, or what was not sent because
// it would not have been one command.
type Refusal struct {
	Change haproxy.ServerChange // of no meaning where Map is set
	Map    string               // one of haproxy.MapNames; "" for a server
	Reply  string               // HAProxy's own words
}

// String is "add shop_cart_80/10.1.2.3:8080 ready: No such backend.".
func (r Refusal) String() string {
	if r.Map != "" {
		return fmt.Sprintf("swap map %s: %s", r.Map, r.Reply)
	}
	return fmt.Sprintf("%s: %s", r.Change, r.Reply)
}

func (a *Applied) refuse(c haproxy.ServerChange, reply string) {
	a.Refused = append(a.Refused, Refusal{Change: c, Reply: reply})
}

func (a *Applied) refuseMap(name, reply string) {
	a.Refused = append(a.Refused, Refusal{Map: name, Reply: reply})
}

// Apply carries out the parts of the plan that need no reload: plan.Add, then
// plan.Maps, then plan.Leave. What HAProxy refuses is told in Applied and stops
// nothing else. An error means that HAProxy could not be spoken to; the work is
// part-done then and Applied tells what is known of it. What HAProxy shows
// afterwards, not what it answered, is the truth: observe again.
//
// Adding a server that exists sets its state; deleting one that does not exist
// does nothing.
func (c *Client) Apply(ctx context.Context, plan haproxy.Plan) (Applied, error) {
	var a Applied
	if err := c.changeServers(ctx, plan.Add, &a); err != nil {
		return a, fmt.Errorf("apply to HAProxy: %w", err)
	}
	for _, m := range plan.Maps {
		if err := c.swapMap(ctx, m, &a); err != nil {
			return a, fmt.Errorf("apply to HAProxy: map %s: %w", m.Name, err)
		}
	}
	if err := c.changeServers(ctx, plan.Leave, &a); err != nil {
		return a, fmt.Errorf("apply to HAProxy: %w", err)
	}
	return a, nil
}

// order is a change and the commands that make it.
type order struct {
	change   haproxy.ServerChange
	commands []string
}

// changeServers makes the changes in their order, as many to a line as fit. The
// commands of one change stay together, so that a server is complete once it is
// enabled.
func (c *Client) changeServers(ctx context.Context, changes []haproxy.ServerChange, a *Applied) error {
	var orders []order
	size := len(separator) + 1
	send := func() error {
		err := c.send(ctx, orders, a)
		orders, size = orders[:0], len(separator)+1
		return err
	}
	for _, change := range changes {
		commands, err := serverCommands(change)
		if err != nil {
			a.refuse(change, err.Error())
			continue
		}
		n := 0
		for _, command := range commands {
			n += cost(command)
		}
		if size+n > maxLine {
			if err := send(); err != nil {
				return err
			}
		}
		orders = append(orders, order{change, commands})
		size += n
	}
	return send()
}

// send makes the changes in one line and judges the replies.
func (c *Client) send(ctx context.Context, orders []order, a *Applied) error {
	var commands []string
	for _, o := range orders {
		commands = append(commands, o.commands...)
	}
	if len(commands) == 0 {
		return nil
	}
	a.Commands += len(commands)
	replies, err := c.admin.exchange(ctx, commands)
	if err != nil {
		return err
	}
	for _, o := range orders {
		a.judge(o, replies[:len(o.commands)])
		replies = replies[len(o.commands):]
	}
	return nil
}

// serverCommands returns what makes the change (management.txt "add server",
// "set server", "del server").
func serverCommands(c haproxy.ServerChange) ([]string, error) {
	if err := checkWord("backend", c.Backend.Name); err != nil {
		return nil, err
	}
	server := c.Backend.Name + "/" + c.Server.Name()
	state := "set server " + server + " state " + string(c.Server.State)
	switch c.Op {
	case haproxy.AddServer:
		return addCommands(c, server, state)
	case haproxy.SetServer:
		if c.Server.State == haproxy.Maint {
			return []string{state}, nil
		}
		// Its name is its address, whatever became of it since.
		addr := c.Server.Addr
		return []string{fmt.Sprintf("set server %s addr %s port %d", server, addr.Addr(), addr.Port()), state}, nil
	case haproxy.DeleteServer:
		return []string{"set server " + server + " state maint", "del server " + server}, nil
	}
	return nil, fmt.Errorf("%q is not an operation on a server", c.Op)
}

// addCommands adds a server, which starts in maint, and lets it serve. Its
// cookie comes from the key, which HAProxy 2.6 does not look at while it adds.
func addCommands(c haproxy.ServerChange, server, state string) ([]string, error) {
	line := cfgfile.ServerLine(c.Backend.Options, c.Server.Addr)
	if err := checkLine("server", line); err != nil {
		return nil, err
	}
	commands := []string{"add server " + c.Backend.Name + "/" + line}
	if p := c.Backend.Policy; p.Cookie != "" {
		if err := checkWord("cookie key", p.CookieKey); err != nil {
			return nil, err
		}
		commands = append(commands, "set dynamic-cookie-key backend "+c.Backend.Name+" "+p.CookieKey)
	}
	if c.Backend.Options.Check {
		commands = append(commands, "enable health "+server)
	}
	if c.Server.State == haproxy.Ready {
		state = "enable server " + server
	}
	return append(commands, state), nil
}

// judge reads HAProxy's replies to one change.
func (a *Applied) judge(o order, replies []string) {
	switch o.change.Op {
	case haproxy.AddServer:
		if !strings.Contains(replies[0], "New server registered.") && !exists(replies[0], o.change.Server) {
			a.refuse(o.change, replies[0])
			return
		}
		replies = replies[1:]
	case haproxy.SetServer:
		if len(replies) == 2 && (strings.HasPrefix(replies[0], "no need to change the addr") || strings.HasPrefix(replies[0], "IP changed from")) {
			replies = replies[1:]
		}
	case haproxy.DeleteServer:
		a.judgeDelete(o.change, replies[1])
		return
	}
	for _, reply := range replies {
		if reply != "" {
			a.refuse(o.change, reply)
			return
		}
	}
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
		a.refuse(c, reply)
	}
}
