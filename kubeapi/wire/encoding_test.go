// SPDX-License-Identifier: Apache-2.0

package wire_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"podgate/kubeapi/kubeapitest"
	"podgate/kubeapi/wire"
)

const (
	protobufType = "application/vnd.kubernetes.protobuf"
	jsonType     = "application/json"
)

// recorded returns an answer of kube-apiserver 1.37.
func recorded(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile("../../testdata/kubeapi/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// page is a decoded page.
type page struct {
	Version, Next string
	Objects       []wire.Object
	Unread        map[wire.Key]error
}

func readPage(plural, contentType string, body []byte) (page, error) {
	l := wire.NewList()
	next, err := wire.ReadPage(contentType, bytes.NewReader(body), resourceOf(plural), l)
	return page{l.Version, next, l.Objects, l.Unread}, err
}

// readWatch reads a watch to its end.
func readWatch(plural, contentType string, body []byte) (all []wire.Event, err error) {
	events := wire.NewEventReader(contentType, bytes.NewReader(body), resourceOf(plural), make(wire.Interner))
	for {
		e, err := events.Next()
		switch {
		case err == io.EOF:
			return all, nil
		case err != nil:
			return all, err
		}
		all = append(all, e)
	}
}

func resourceOf(plural string) wire.Resource {
	if plural == "services" {
		return wire.Services
	}
	return wire.EndpointSlices
}

// equateAddrs compares addresses with ==.
func equateAddrs() cmp.Option {
	return cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{})
}

func TestRecordedListsAreEqualInBothEncodings(t *testing.T) {
	for plural, count := range map[string]int{"services": 14, "endpointslices": 12} {
		t.Run(plural, func(t *testing.T) {
			want, err := readPage(plural, jsonType, recorded(t, plural+".json"))
			if err != nil {
				t.Fatal(err)
			}
			got, err := readPage(plural, protobufType, recorded(t, plural+".pb"))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got, equateAddrs(), cmpopts.IgnoreFields(page{}, "Version")); diff != "" {
				t.Errorf("list (-JSON +protobuf):\n%s", diff)
			}
			if len(got.Objects) != count {
				t.Errorf("%d objects, want %d", len(got.Objects), count)
			}
		})
	}
}

func TestRecordedWatchesAreEqualInBothEncodings(t *testing.T) {
	for _, name := range []string{"services-watch", "services-streamed", "endpointslices-watch", "endpointslices-streamed"} {
		t.Run(name, func(t *testing.T) {
			plural, _, _ := strings.Cut(name, "-")
			want, err := readWatch(plural, jsonType, recorded(t, name+".json"))
			if err != nil {
				t.Fatal(err)
			}
			got, err := readWatch(plural, protobufType+";stream=watch", recorded(t, name+".pb"))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(changes(want), changes(got), equateAddrs()); diff != "" {
				t.Errorf("events (-JSON +protobuf):\n%s", diff)
			}
			if strings.HasSuffix(name, "-streamed") && !got[len(got)-1].Bookmark.Listed {
				t.Error("no bookmark ends the list")
			}
		})
	}
}

// changes removes bookmarks, which depend on when a watch was recorded.
func changes(events []wire.Event) []wire.Event {
	return slices.DeleteFunc(slices.Clone(events), func(e wire.Event) bool { return e.Kind == "BOOKMARK" })
}

func TestRecordedStatusesAreEqualInBothEncodings(t *testing.T) {
	for _, name := range []string{"status-forbidden", "status-invalid"} {
		want := wire.ReadMessage(jsonType, bytes.NewReader(recorded(t, name+".json")))
		got := wire.ReadMessage(protobufType, bytes.NewReader(recorded(t, name+".pb")))
		if got != want || got == "" {
			t.Errorf("%s: message %q in protobuf, %q in JSON", name, got, want)
		}
	}
}

// FuzzEncodings serves one Service and one EndpointSlice in both encodings, and checks
// that both decode to equal objects.
func FuzzEncodings(f *testing.F) {
	f.Add("cart", "10.0.0.1", "http", "serviceloadbalancer/lb.host", "cart.example.com", int32(80), int32(30080), int64(1767323045), uint16(0))
	f.Add("six", "fd00::1", "", "kubectl.kubernetes.io/last-applied-configuration", "{}", int32(-1), int32(70000), int64(0), uint16(0xffff))
	f.Add("é✓", "::ffff:10.0.0.1", "grpc", "a", "\n\x00\"", int32(65535), int32(0), int64(-1), uint16(0x1234))
	f.Fuzz(func(t *testing.T, name, address, port, key, value string, number, nodePort int32, created int64, flags uint16) {
		for _, s := range []*string{&name, &address, &port, &key, &value} {
			*s = strings.ToValidUTF8(*s, "?")
		}
		s := kubeapitest.New()
		meta := map[string]any{"name": "n" + name, "annotations": map[string]any{key: value}, "labels": map[string]any{"kubernetes.io/service-name": name}}
		if created >= 0 && created < 253402300800 {
			meta["creationTimestamp"] = time.Unix(created, 0).UTC().Format(time.RFC3339)
		}
		conditions := make(map[string]any)
		for i, condition := range []string{"ready", "serving", "terminating"} {
			if flags>>(2*i)&1 != 0 {
				conditions[condition] = flags>>(2*i+1)&1 != 0
			}
		}
		pick := func(bit int, texts ...string) string { return texts[int(flags>>bit&1)%len(texts)] }
		for _, o := range []map[string]any{
			{"kind": "Service", "metadata": meta, "spec": map[string]any{
				"clusterIP": address, "type": pick(6, "ClusterIP", name), "sessionAffinity": pick(7, "None", "ClientIP"), "externalTrafficPolicy": pick(11, "Cluster", "Local"),
				"sessionAffinityConfig": map[string]any{"clientIP": map[string]any{"timeoutSeconds": nodePort}},
				"ports":                 []any{map[string]any{"name": port, "appProtocol": value, "protocol": pick(8, "TCP", port), "port": number, "nodePort": nodePort, "targetPort": pickTarget(flags, nodePort, port)}},
			}},
			{"kind": "EndpointSlice", "metadata": meta, "addressType": pick(9, "IPv4", "FQDN"),
				"ports": []any{map[string]any{"name": port, "port": number}, map[string]any{"port": nodePort}},
				"endpoints": []any{
					map[string]any{"addresses": []any{address, value}, "conditions": conditions, "nodeName": key, "targetRef": map[string]any{"kind": pick(10, "Pod", key), "name": value}},
					map[string]any{"addresses": []any{"10.0.0.2"}, "targetRef": map[string]any{"kind": "Pod", "name": name}},
					map[string]any{},
				}},
		} {
			if err := s.ApplyObject(o); err != nil {
				t.Fatal(err)
			}
		}
		for plural, path := range map[string]string{"services": "/api/v1/services", "endpointslices": "/apis/discovery.k8s.io/v1/endpointslices"} {
			want, got := decodeAs(t, s, plural, path, jsonType), decodeAs(t, s, plural, path, protobufType)
			if diff := cmp.Diff(want, got, equateAddrs()); diff != "" {
				t.Errorf("%s (-JSON +protobuf):\n%s", plural, diff)
			}
		}
	})
}

// pickTarget returns a number, a name or null.
func pickTarget(flags uint16, number int32, name string) any {
	switch flags >> 12 & 3 {
	case 0:
		return nil
	case 1:
		return name
	}
	return number
}

func decodeAs(t *testing.T, s *kubeapitest.Server, plural, path, contentType string) page {
	t.Helper()
	req := httptest.NewRequest(http.MethodGet, path, nil)
	req.Header.Set("Accept", contentType)
	w := httptest.NewRecorder()
	s.ServeHTTP(w, req)
	if got := w.Header().Get("Content-Type"); got != contentType {
		t.Fatalf("Content-Type %s, want %s", got, contentType)
	}
	l, err := readPage(plural, contentType, w.Body.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// FuzzProtobuf and FuzzJSON decode malformed lists, watches and Statuses: they must not
// panic or return an object without a name. The seeds are answers of real API servers.
func FuzzProtobuf(f *testing.F) { fuzzAnswers(f, "pb", protobufType, protobufType+";stream=watch") }

func FuzzJSON(f *testing.F) { fuzzAnswers(f, "json", jsonType, jsonType) }

func fuzzAnswers(f *testing.F, ext, list, watch string) {
	paths, err := filepath.Glob("../../testdata/kubeapi/*." + ext)
	if err != nil || len(paths) == 0 {
		f.Fatalf("no recorded answers: %v", err)
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, plural := range []string{"services", "endpointslices"} {
			l, _ := readPage(plural, list, body)
			for _, o := range l.Objects {
				checkNamed(t, o)
			}
			events, _ := readWatch(plural, watch, body)
			for _, e := range events {
				checkNamed(t, e.Object)
			}
		}
		_ = wire.ReadMessage(list, bytes.NewReader(body))
	})
}

func checkNamed(t *testing.T, o any) {
	switch o := o.(type) {
	case *wire.Service:
		if o != nil && o.Name == "" {
			t.Errorf("a Service without a name: %+v", o)
		}
	case *wire.EndpointSlice:
		if o != nil && o.Name == "" {
			t.Errorf("an EndpointSlice without a name: %+v", o)
		}
	}
}

func TestProtobufListCutShort(t *testing.T) {
	whole := recorded(t, "services.pb")
	for n := range len(whole) - 4 { // the last four bytes are two empty fields
		_, err := readPage("services", protobufType, whole[:n])
		if err == nil {
			t.Fatalf("the first %d of %d bytes are accepted as a list", n, len(whole))
		}
	}
	for text, want := range map[string]string{
		"":              "read answer: unexpected EOF",
		"{}":            "read answer: unexpected EOF",
		"<html></html>": "read answer: not Kubernetes protobuf (does a proxy in between rewrite answers?)",
		"k8s\x00":       "read answer: not a Kubernetes list, it has no resourceVersion",
		"k8s\x00\x12\xff\xff\xff\xff\x7f\x0a\xff\xff\xff\xff\x7f": "read answer: broken protobuf: a field is too long",
		"k8s\x00\x0b": "read answer: broken protobuf: field 1 is of type 3",
	} {
		if _, err := readPage("services", protobufType, []byte(text)); fmt.Sprint(err) != want {
			t.Errorf("%q: error %v, want %s", text, err, want)
		}
	}
}

func TestListWithAnObjectWithoutAName(t *testing.T) {
	// Found by the fuzzers: the name has another key.
	for plural, body := range map[string]string{
		"services":       `{"kind":"ServiceList","apiVersion":"v1","metadata":{"resourceVersion":"7"},"items":[{"metaDatum":{"name":"cart"}}]}`,
		"endpointslices": `{"kind":"EndpointSliceList","apiVersion":"discovery.k8s.io/v1","metadata":{"resourceVersion":"7"},"items":[{}]}`,
	} {
		l, err := readPage(plural, jsonType, []byte(body))
		if want := "read answer: an object has no name (does a proxy in between rewrite answers?)"; fmt.Sprint(err) != want || len(l.Objects) > 0 {
			t.Errorf("%s: %v, error %v, want %s", plural, l.Objects, err, want)
		}
	}
	nameless := bytes.Replace(recorded(t, "services.pb"), []byte("\n\x04cart"), []byte("\x7a\x04cart"), 1) // field 15 is unknown
	if bytes.Equal(nameless, recorded(t, "services.pb")) {
		t.Fatal("no Service cart is recorded")
	}
	if _, err := readPage("services", protobufType, nameless); fmt.Sprint(err) != "read answer: an object has no name (does a proxy in between rewrite answers?)" {
		t.Errorf("in protobuf: error %v", err)
	}
}
