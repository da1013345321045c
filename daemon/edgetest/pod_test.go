// SPDX-License-Identifier: Apache-2.0

package edgetest

import (
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"podgate/kubeapi"
)

func startPod(t *testing.T, o PodOptions) *Pod {
	t.Helper()
	p, err := StartPod(o)
	must(t, err)
	t.Cleanup(p.Close)
	return p
}

func TestAPodEndsAGracePeriodAfterItsLastRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const grace = 2 * time.Second
		var p Pod
		p.begin() // a request
		quiet := make(chan bool, 1)
		go func() { quiet <- p.awaitQuiet(t.Context(), grace) }()
		time.Sleep(time.Hour)
		if len(quiet) > 0 {
			t.Fatal("the pod left with a request running")
		}
		ended := time.Now()
		p.end()
		if ok, took := <-quiet, time.Since(ended); !ok || took < grace || took > grace+time.Second {
			t.Errorf("the pod left %v after its last request, %v, want %v", took, ok, grace)
		}
	})
}

func TestAPodThatEndedDoesNotListen(t *testing.T) {
	p := startPod(t, PodOptions{Name: "cart-0"})
	p.Leave(t.Context(), time.Millisecond)
	if conn, err := net.Dial("tcp", p.Addr.String()); err == nil {
		conn.Close()
		t.Error("the pod accepts connections")
	}
}

func TestAPodAnswersWithItsName(t *testing.T) {
	all, err := StartPods()
	must(t, err)
	t.Cleanup(all.Close)
	next := all.Next("cart", 2)[1]
	at := all.At("cart", netip.MustParseAddr("127.70.0.1"))
	own, other := startPod(t, PodOptions{Name: "cart-0"}), startPod(t, PodOptions{Name: "sale-1-2", Body: "hello\n"})
	for _, row := range []struct {
		addr               netip.AddrPort
		pod, service, body string
	}{
		{own.Addr, "cart-0", "cart", "cart-0 /items\n"},
		{other.Addr, "sale-1-2", "sale-1", "hello\n"},
		{next, next.String(), "cart", "ok\n"},
		{at, at.String(), "cart", "ok\n"},
	} {
		resp, err := http.Get("http://" + row.addr.String() + "/items")
		must(t, err)
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || string(body) != row.body || resp.Header.Get(PodHeader) != row.pod || resp.Header.Get(ServiceHeader) != row.service {
			t.Errorf("%s: %q from pod %q of %q, %v", row.addr, body, resp.Header.Get(PodHeader), resp.Header.Get(ServiceHeader), err)
		}
	}
	if own.Active() != 0 || own.Served() != 1 {
		t.Errorf("%d requests run, %d ended, want 0 and 1", own.Active(), own.Served())
	}
}

func TestEndpointSlicesAreOnePerPort(t *testing.T) {
	c, err := StartCluster()
	must(t, err)
	t.Cleanup(c.Stop)
	client, err := kubeapi.New(kubeapi.Config{Server: c.URL(), Namespaces: []string{Namespace}, UserAgent: "test"}, nil)
	must(t, err)
	one := startPod(t, PodOptions{Name: "cart-0"})
	next := startPod(t, PodOptions{Name: "cart-1", Port: one.Addr.Port()})
	other := startPod(t, PodOptions{Name: "cart-2"})
	for _, row := range []struct {
		pods []*Pod
		want []string // a slice each: its name and how many endpoints it has
	}{
		{[]*Pod{one, next, other}, []string{SliceOf("cart", one.Addr.Port()).Name + " 2", SliceOf("cart", other.Addr.Port()).Name + " 1"}},
		{[]*Pod{other}, []string{SliceOf("cart", other.Addr.Port()).Name + " 1"}},
		{nil, nil},
	} {
		must(t, c.SetEndpoints("cart", Ready(row.pods...)...))
		snapshot, err := client.List(t.Context())
		must(t, err)
		var got []string
		for _, s := range snapshot.Slices.Of(kubeapi.Key{Namespace: Namespace, Name: "cart"}) {
			got = append(got, s.Name+" "+string(rune('0'+len(s.Endpoints))))
		}
		slices.Sort(got)
		slices.Sort(row.want)
		if !slices.Equal(got, row.want) {
			t.Errorf("got %q, want %q", got, row.want)
		}
	}
}

func TestAPortThatIsTakenIsNotUsed(t *testing.T) {
	p := startPod(t, PodOptions{Name: "cart-0"})
	taken, err := net.Listen("tcp", net.JoinHostPort("0.0.0.0", "0"))
	must(t, err)
	defer taken.Close()
	port := uint16(taken.Addr().(*net.TCPAddr).Port)
	if other := startPod(t, PodOptions{Name: "cart-1", Port: port}); other.Addr.Port() == port || p.Addr == other.Addr {
		t.Errorf("%s has the port that another server has on all addresses", other.Addr)
	}
}

// must fails the test with err.
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
