// SPDX-License-Identifier: Apache-2.0

package daemon_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"podgate/haproxy/runtime"
	"podgate/kubeapi/kubeapitest"
)

// follows writes podgate.toml with these API servers.
func (tw *town) follows(doors ...*kubeapitest.Door) {
	tw.t.Helper()
	var urls []string
	for _, d := range doors {
		urls = append(urls, fmt.Sprintf("%q", d.URL()))
	}
	tw.configure("")
	text, err := os.ReadFile(tw.toml)
	if err != nil {
		tw.t.Fatal(err)
	}
	one, several := fmt.Sprintf("server = %q", tw.api.URL()), "server = ["+strings.Join(urls, ", ")+"]"
	if err := os.WriteFile(tw.toml, []byte(strings.Replace(string(text), one, several, 1)), 0o600); err != nil {
		tw.t.Fatal(err)
	}
}

// says waits until the log has so many lines with text.
func (tw *town) says(text string, times int) {
	tw.t.Helper()
	eventually(tw.t, "the log", func() error {
		if got := strings.Count(tw.log.String(), text); got != times {
			return fmt.Errorf("%d lines with %q, want %d", got, text, times)
		}
		return nil
	})
}

func TestTheNextAPIServerIsFollowedAndKept(t *testing.T) {
	tw := newTown(t)
	one, two := kubeapitest.OpenDoor(tw.t, tw.api), kubeapitest.OpenDoor(tw.t, tw.api)
	tw.follows(one, two)
	l := tw.openStreets()
	const changed = `msg="another API server is followed"`

	one.Close()
	tw.endpoints("cart", newPod(t, "cart-2"))
	tw.awaitServers("shop_cart_80", tw.pods["cart"]...)
	tw.says(changed+" server="+two.URL()+" last="+one.URL(), 1)

	one.Open()
	asked := one.Asked()
	for n := range 10 {
		tw.endpoints("cart", newPod(t, fmt.Sprintf("cart-%d", n+3)))
		tw.awaitServers("shop_cart_80", tw.pods["cart"]...)
	}
	if got := one.Asked(); got != asked {
		t.Errorf("the first was asked %d times after it was left", got-asked)
	}

	two.Close()
	tw.endpoints("cart", newPod(t, "cart-13"))
	tw.awaitServers("shop_cart_80", tw.pods["cart"]...)
	tw.says(changed, 2)

	// A changed list is followed without a restart.
	three := kubeapitest.OpenDoor(tw.t, tw.api)
	tw.follows(three, two)
	eventually(t, "the new one is asked", func() error {
		if three.Asked() == 0 {
			return errors.New("it is not")
		}
		return nil
	})
	one.Close()
	tw.endpoints("cart", newPod(t, "cart-14"))
	tw.awaitServers("shop_cart_80", tw.pods["cart"]...)
	l.check(t)
	tw.says(changed, 2)
	tw.says("API server unreachable", 0)
	if got := tw.passes.reloads(); len(got) != 1 {
		t.Errorf("reloads: %q, want the first alone", got)
	}
}

func TestAnOutageOfTheAPIServerCostsNoRequest(t *testing.T) {
	tw, l := streets(t)
	for n := range 3 {
		tw.api.Stop()
		tw.says("API server unreachable", n+1)
		tw.endpoints("cart", newPod(t, fmt.Sprintf("cart-%d", n+2)))
		if err := tw.api.Start(""); err != nil {
			t.Fatal(err)
		}
		tw.awaitServers("shop_cart_80", tw.pods["cart"]...)
		tw.says("API server reachable", n+1)
	}
	l.check(t)
	if got := tw.passes.reloads(); len(got) != 1 {
		t.Errorf("reloads: %q, want the first alone", got)
	}
}

// TestTheAPIServerIsGoneForGood: podgate and HAProxy are restarted again and
// again, each alone and together, and traffic stays as it was.
func TestTheAPIServerIsGoneForGood(t *testing.T) {
	tw := newTown(t)
	l := tw.openStreets()
	tw.endpoints("shop", newPod(t, "shop-2")) // by runtime, not by the reload
	tw.awaitServers("shop_shop_80", tw.pods["shop"]...)
	awaitFile(t, tw, tw.pods["shop"][0].addr.String())
	tw.api.Stop()
	tw.says("API server unreachable", 1)

	serves := func() {
		t.Helper()
		tw.awaitAnswer("any", "/cart/x", "200 cart-0 /x")
		tw.awaitAnswer("any", "/shop/x", "200 shop-2 /x")
		tw.awaitServers("shop_cart_80", tw.pods["cart"]...)
		tw.awaitServers("shop_shop_80", tw.pods["shop"]...)
	}
	restartPodgate := func() {
		t.Helper()
		tw.stop()
		tw.log.forget()
		tw.start()
		tw.says("API server unreachable", 1)
	}
	restartHAProxy := func() {
		t.Helper()
		if err := tw.haproxy.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
	}

	// What may be done under load costs no request.
	for range 3 {
		restartPodgate()
		serves()
	}
	before, err := tw.runtime.Process(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	somebody := runtime.New(tw.haproxy.Admin, tw.haproxy.Master, tw.haproxy.Folder)
	if _, err := somebody.Reload(t.Context(), before.Generation); err != nil {
		t.Fatal(err)
	}
	serves()
	l.check(t)

	for range 3 {
		restartHAProxy()
		serves()
		restartPodgate()
		serves()
		tw.stop() // HAProxy starts while there is no podgate
		restartHAProxy()
		serves()
		tw.start()
		serves()
	}
	if got := tw.passes.reloads(); len(got) != 1 {
		t.Errorf("reloads: %q, want the first alone", got)
	}
	if got := tw.passes.drift(); got > 0 {
		t.Errorf("drift %d, want none", got)
	}

	if err := tw.api.Start(""); err != nil {
		t.Fatal(err)
	}
	tw.endpoints("cart", newPod(t, "cart-9"))
	tw.awaitAnswer("any", "/cart/x", "200 cart-9 /x")
}

// awaitFile waits until podgate.cfg holds text.
func awaitFile(t *testing.T, tw *town, want string) {
	t.Helper()
	eventually(t, "podgate.cfg", func() error {
		text, err := os.ReadFile(filepath.Join(tw.haproxy.Folder, "podgate.cfg"))
		if err == nil && !strings.Contains(string(text), want) {
			err = fmt.Errorf("it does not hold %s", want)
		}
		return err
	})
}
