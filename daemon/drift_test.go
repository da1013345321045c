// SPDX-License-Identifier: Apache-2.0

package daemon_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestDriftIsRepairedAndLogged changes the running HAProxy as an operator could do.
func TestDriftIsRepairedAndLogged(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	e.resync = 300 * time.Millisecond
	theirs := "\nbackend theirs\n  mode http\n  server mine 127.0.0.1:9 weight 7 disabled\n"
	base, err := os.ReadFile(e.HAProxy.Base)
	must(t, err)
	must(t, os.WriteFile(e.HAProxy.Base, append(base, theirs...), 0o600))
	must(t, e.HAProxy.Restart(t.Context()))
	one, two := newPod(t, "one"), newPod(t, "two")
	e.service(t, "cart", nil, one, two)
	e.start(t)
	e.awaitServers(t, "shop_cart_80", one, two)
	e.awaitAnswer(t, "any", "/cart/", "200 one /")
	e.awaitReloads(t) // the pass that served this is over
	operators := e.command(t, "show servers state theirs")

	for _, row := range []struct{ name, command string }{
		{"a server has another address", "set server shop_cart_80/ONE addr 127.0.0.9"},
		{"a server has another weight", "set server shop_cart_80/ONE weight 50%"},
		{"a server is out of service", "set server shop_cart_80/ONE state maint"},
		{"a server drains", "set server shop_cart_80/TWO state drain"},
		{"a server is deleted", "set server shop_cart_80/TWO state maint;del server shop_cart_80/TWO"},
		{"an unmanaged server is added", "add server shop_cart_80/web1 127.0.0.1:9;enable server shop_cart_80/web1"},
		{"a route is deleted", "del map " + e.HAProxy.Folder + "/routes.map */cart/"},
		{"a route has another backend", "set map " + e.HAProxy.Folder + "/routes.map */cart/ theirs"},
	} {
		t.Run(row.name, func(t *testing.T) {
			counted := e.Drift()
			command := strings.NewReplacer("ONE", one.Addr.String(), "TWO", two.Addr.String()).Replace(row.command)
			e.command(t, command)
			awaitThat(t, "the drift is counted", func() bool { return e.Drift() > counted })
			eventually(t, "it is repaired", func() error {
				rows := e.command(t, "show servers state shop_cart_80")
				for _, want := range []string{
					fmt.Sprintf(" %s %s 2 0 1 1 ", one.Addr, one.Addr.Addr()),
					fmt.Sprintf(" %s %s 2 0 1 1 ", two.Addr, two.Addr.Addr()),
				} {
					if !strings.Contains(rows, want) {
						return fmt.Errorf("no %q in\n%s", want, rows)
					}
				}
				if strings.Contains(rows, "web1") {
					return fmt.Errorf("web1 is in\n%s", rows)
				}
				if entries := e.command(t, "show map "+e.HAProxy.Folder+"/routes.map"); !strings.Contains(entries, "*/cart/ shop_cart_80|5|/cart") {
					return fmt.Errorf("the map has %q", entries)
				}
				return nil
			})
		})
	}
	if strings.Count(e.Log.String(), "drift found") < 8 {
		t.Error("drift was not logged each time")
	}
	if got := e.command(t, "show servers state theirs"); withoutClock(got) != withoutClock(operators) {
		t.Errorf("the operator's section changed from\n%sto\n%s", operators, got)
	}
	if text, err := os.ReadFile(e.HAProxy.Base); err != nil || string(text) != string(base)+theirs {
		t.Errorf("the operator's file changed: %v\n%s", err, text)
	}
	e.checkOneReload(t)
}

// TestFilesThatAnotherProgramChangedAreWrittenAgain relies on the resync: nothing changes
// in the cluster.
func TestFilesThatAnotherProgramChangedAreWrittenAgain(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	e.resync = 300 * time.Millisecond
	one := newPod(t, "one")
	e.service(t, "cart", nil, one)
	e.start(t)
	e.awaitAnswer(t, "any", "/cart/", "200 one /")
	e.awaitReloads(t)
	e.awaitFile(t, "podgate.cfg", "  server "+one.Addr.String()+" ")
	for _, name := range []string{"podgate.cfg", "routes.map", "podgate.loaded.json"} {
		path := filepath.Join(e.HAProxy.Folder, name)
		whole, err := os.ReadFile(path)
		must(t, err)
		must(t, os.WriteFile(path, append([]byte("# mine\n"), whole...), 0o640))
		eventually(t, name+" is as it was", func() error {
			text, err := os.ReadFile(path)
			if err == nil && !bytes.Equal(text, whole) {
				err = fmt.Errorf("%s", text)
			}
			return err
		})
	}
	e.checkOneReload(t)
}

// withoutClock removes the column that shows how long ago a server last changed.
func withoutClock(rows string) string {
	var kept []string
	for _, row := range strings.Split(rows, "\n") {
		if fields := strings.Fields(row); len(fields) > 9 {
			fields[9] = "-"
			kept = append(kept, strings.Join(fields, " "))
		}
	}
	return strings.Join(kept, "\n")
}
