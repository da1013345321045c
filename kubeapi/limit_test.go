// SPDX-License-Identifier: Apache-2.0

package kubeapi_test

import (
	"cmp"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"podgate/kubeapi"
	"podgate/kubeapi/kubeapitest"
)

// flood is a rogue API server. It counts what it could send of each answer.
type flood struct {
	kind  string // Content-Type
	head  string
	item  string // without end
	gzip  bool
	most  atomic.Int64 // bytes of the longest answer
	ended atomic.Int64 // answers that were closed
}

func (f *flood) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", f.kind)
	var out io.Writer = w
	if f.gzip && strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		defer z.Close()
		out = z
	}
	sent := int64(0)
	defer func() {
		for most := f.most.Load(); sent > most && !f.most.CompareAndSwap(most, sent); most = f.most.Load() {
		}
		f.ended.Add(1)
	}()
	if _, err := io.WriteString(out, f.head); err != nil {
		return
	}
	items := max(1, (64<<10)/len(f.item))
	part := strings.Repeat(f.item, items)
	for n := 0; r.Context().Err() == nil && n < 1<<32; n += items {
		if strings.Contains(f.item, "%d") {
			var b strings.Builder
			for i := range items {
				fmt.Fprintf(&b, f.item, n+i)
			}
			part = b.String()
		}
		written, err := io.WriteString(out, part)
		sent += int64(written)
		if err != nil {
			return
		}
	}
}

// TestARogueServerIsBounded follows a cluster whose API server, or a portal in between,
// begins to send answers without end. The memory stays bounded, the connection is closed,
// the reason is logged once, and podgate keeps what it has.
func TestARogueServerIsBounded(t *testing.T) {
	const (
		json  = "application/json"
		proto = "application/vnd.kubernetes.protobuf"
		large = 32 << 20
		small = 8 << 20 // where much is parsed, or compared with all before it
	)
	list := `{"kind":"ServiceList","metadata":{"resourceVersion":"7"},"items":[`
	for _, row := range []struct {
		name  string
		verb  string
		flood *flood
		size  int64 // zero is large
	}{
		{"items without end", "list", &flood{kind: json, head: list + `{"metadata":{"name":"a"}}`, item: `,{"metadata":{"name":"a"}}`}, 0},
		{"different items without end", "list", &flood{kind: json, head: list + `{"metadata":{"name":"a"}}`, item: `,{"metadata":{"name":"a%d"}}`}, 0},
		{"items that cannot be read", "list", &flood{kind: json, head: list + `{"metadata":{"name":"a"}}`, item: `,{"metadata":{"name":"a%d"},"spec":{"ports":7}}`}, 0},
		{"one string", "list", &flood{kind: json, head: `{"kind":"`, item: "x"}, 0},
		{"one string of an object", "list", &flood{kind: json, head: list + `{"metadata":{"name":"`, item: "x"}, 0},
		{"one array", "list", &flood{kind: json, head: list + `{"metadata":{"name":"a"},"spec":{"ports":[{}`, item: ",{}"}, 0},
		{"one map", "list", &flood{kind: json, head: list + `{"metadata":{"name":"a","annotations":{"a":""`, item: `,"a%d":""`}, 0},
		{"fields without end", "list", &flood{kind: json, head: `{"kind":""`, item: `,"x":[[[[[1]]]]]`}, small},
		{"blanks", "list", &flood{kind: json, head: list, item: " "}, small},
		{"a gzip bomb", "list", &flood{kind: json, gzip: true, head: list + `{"metadata":{"name":"`, item: "x"}, 0},
		{"a gzip bomb of items", "list", &flood{kind: json, gzip: true, head: list + `{"metadata":{"name":"a"}}`, item: `,{"metadata":{"name":"a"}}`}, 0},
		{"a long field in protobuf", "list", &flood{kind: proto, head: "k8s\x00\x12\xff\xff\xff\xff\x7f\x12\xff\xff\xff\x0f", item: "x"}, 0},
		{"a line of a watch", "watch", &flood{kind: json, head: `{"type":"ADDED","object":{"metadata":{"name":"`, item: "x"}, 0},
		{"objects of a watch", "watch", &flood{kind: json, item: `{"type":"ADDED","object":{"metadata":{"namespace":"shop","name":"a%d","resourceVersion":"8"}}}` + "\n"}, small},
		{"a frame of a watch", "watch", &flood{kind: proto, head: "\x7f\xff\xff\xff", item: "x"}, 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := serve(t, "cart")
			cfg := watching(s)
			cfg.MaxSize = cmp.Or(row.size, large)
			size := uint64(cfg.MaxSize)
			runtime.GC() // what the rows before have left
			f := follow(t, cfg, func(c *kubeapi.Client) { c.SetTooLarge(100 * time.Millisecond) })
			f.untilServices("cart")
			flood := row.flood
			s.Misbehave(kubeapitest.Break(row.verb, "services", "shop", flood.ServeHTTP))
			var peak atomic.Uint64
			stop := make(chan struct{})
			measured := make(chan struct{})
			go func() {
				defer close(measured)
				for {
					var m runtime.MemStats
					runtime.ReadMemStats(&m)
					peak.Store(max(peak.Load(), m.HeapInuse))
					select {
					case <-stop:
						return
					case <-time.After(10 * time.Millisecond):
					}
				}
			}()
			s.ExpireVersions() // the watch ends
			eventually(t, "two answers are cut", func() bool { return flood.ended.Load() >= 2 })
			close(stop)
			<-measured
			if most := flood.most.Load(); uint64(most) > 16*size {
				t.Errorf("the server could send %d bytes, %d are allowed", most, size)
			}
			if peak := peak.Load(); peak > 12*size {
				t.Errorf("%d MB are used, %d MB are allowed", peak>>20, size>>20)
			}
			t.Logf("%d MB used, %d MB sent", peak.Load()>>20, flood.most.Load()>>20)
			switch {
			case row.flood.kind == proto:
				eventually(t, "the log", func() bool { return len(f.logs.lines("broken protobuf: a field is too long")) > 0 })
			case row.verb == "list":
				eventually(t, "the log", func() bool { return len(f.logs.lines("API server sends too much")) > 0 })
			}
			if n := len(f.logs.lines("API server sends too much")); n > 1 {
				t.Errorf("logged %d times", n)
			}
			if n := len(f.logs.lines("watch event is too large")); n > 1 {
				t.Errorf("logged %d times", n)
			}
			setSlice(t, s, "cart", "10.0.0.2") // another resource is still followed
			f.until("the pod of cart", func(s *kubeapi.Snapshot) bool {
				return slices.Equal(addresses(s, "cart"), []string{"10.0.0.2"}) && slices.Contains(serviceNames(s), "cart")
			})
			s.Behave()
			setService(t, s, "pay")
			f.untilServices("cart", "pay")
		})
	}
}

// A namespace that is too large takes nothing from another.
func TestANamespaceThatIsTooLargeHoldsBackOnlyItself(t *testing.T) {
	s := serve(t, "cart")
	for n := range 40 {
		svc := kubeapi.Service{Key: kubeapi.Key{Namespace: "bank", Name: fmt.Sprintf("vault%d", n)}, Annotations: map[string]string{"note": strings.Repeat("x", 1<<19)}}
		if err := s.SetService(svc); err != nil {
			t.Fatal(err)
		}
	}
	cfg := watching(s)
	cfg.Namespaces, cfg.MaxSize = []string{"bank", "shop"}, 16<<20
	f := follow(t, cfg)
	f.untilServices("cart")
	eventually(t, "the log", func() bool {
		return len(f.logs.lines(`msg="API server sends too much" server=`+s.URL()+` err="list services in namespace \"bank\": `)) == 1
	})
	setService(t, s, "pay")
	f.untilServices("cart", "pay")
	for n := range 30 {
		s.Delete("Service", "bank", fmt.Sprintf("vault%d", n))
	}
	f.until("what is left of bank", func(s *kubeapi.Snapshot) bool { return len(s.Services) == 12 })
}

// The token is sent to the API server alone: a redirect is not followed, whatever the
// request and the code.
func TestARedirectNeverCarriesTheToken(t *testing.T) {
	for _, code := range []int{301, 302, 303, 307, 308} {
		other := kubeapitest.New()
		if err := other.Start(""); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(other.Stop)
		s := serve(t, "cart")
		steal := func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other.URL()+r.URL.Path, code) }
		for _, resource := range []string{"services", "endpointslices"} {
			for _, verb := range []string{"list", "watch"} {
				s.Misbehave(kubeapitest.Break(verb, resource, "shop", steal))
			}
		}
		f := follow(t, watching(s))
		f.noneUntil("ten lists", func() bool { return s.Lists() >= 10 })
		if n := other.Lists() + other.Watches(); n > 0 {
			t.Errorf("%d: %d requests followed the redirect", code, n)
		}
		if n := len(f.logs.lines("API server unreachable")); n != 1 {
			t.Errorf("%d: logged %d times", code, n)
		}
	}
}
