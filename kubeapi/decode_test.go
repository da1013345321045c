// SPDX-License-Identifier: Apache-2.0

package kubeapi_test

import (
	"maps"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"podgate/kubeapi"
)

// equateAddrs compares addresses with ==.
func equateAddrs() cmp.Option {
	return cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{})
}

func TestDecodeService(t *testing.T) {
	const text = `
apiVersion: v1
kind: Service
metadata:
  name: cart
  namespace: shop
  uid: 5c1f
  resourceVersion: "42"
  creationTimestamp: "2026-01-02T03:04:05Z"
  annotations: {serviceloadbalancer/lb.host: cart.example.com}
  labels: {app: cart}
spec:
  type: NodePort
  clusterIP: 10.96.0.7
  sessionAffinity: ClientIP
  sessionAffinityConfig: {clientIP: {timeoutSeconds: 600}}
  externalTrafficPolicy: Local
  ports:
  - {name: http, protocol: TCP, appProtocol: kubernetes.io/h2c, port: 80, targetPort: web, nodePort: 30080}
  - {name: https, port: 443, targetPort: 8443}
  - {name: zero, port: 81, targetPort: 0}
  - {name: none, port: 82, targetPort: null}
  - {name: odd, port: 70000}
`
	want := []*kubeapi.Service{{
		Key:             kubeapi.Key{Namespace: "shop", Name: "cart"},
		UID:             "5c1f",
		ResourceVersion: "42",
		Created:         time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		Annotations:     map[string]string{"serviceloadbalancer/lb.host": "cart.example.com"},
		Type:            "NodePort",
		ClusterIP:       "10.96.0.7",
		Affinity:        "ClientIP",
		AffinityTimeout: 10 * time.Minute,
		Local:           true,
		Ports: []kubeapi.ServicePort{
			{Name: "http", Protocol: "TCP", AppProtocol: "kubernetes.io/h2c", Port: 80, TargetPort: "web", NodePort: 30080},
			{Name: "https", Port: 443, TargetPort: "8443"},
			{Name: "zero", Port: 81},
			{Name: "none", Port: 82},
		},
	}}
	got, err := kubeapi.Decode(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got.Services); diff != "" {
		t.Errorf("services (-want +got):\n%s", diff)
	}
	if got.Complete != 1 {
		t.Errorf("complete %d, want 1", got.Complete)
	}
}

func TestDecodeSlice(t *testing.T) {
	const head = `
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: cart-1, namespace: shop, resourceVersion: "7", labels: {kubernetes.io/service-name: cart}}`
	ip := netip.MustParseAddr
	for _, tt := range []struct {
		name string
		text string // after the metadata
		want kubeapi.EndpointSlice
	}{
		{
			name: "every field",
			text: `
addressType: IPv4
ports: [{name: http, protocol: TCP, port: 8080}]
endpoints:
- {addresses: [10.2.0.1, 10.2.0.2], conditions: {ready: false, serving: true, terminating: true}, nodeName: n1, targetRef: {kind: Pod, name: cart-x, namespace: shop}}
`,
			want: kubeapi.EndpointSlice{
				AddressType: "IPv4",
				Ports:       []kubeapi.EndpointPort{{Name: "http", Protocol: "TCP", Port: 8080}},
				Endpoints:   []kubeapi.Endpoint{{Addr: ip("10.2.0.1"), Serving: true, Terminating: true, Node: "n1", Pod: "cart-x"}},
			},
		},
		{
			name: "scaled to zero",
			text: `
addressType: IPv4
ports: null
endpoints: null
`,
			want: kubeapi.EndpointSlice{AddressType: "IPv4"},
		},
		{
			name: "absent conditions",
			text: `
addressType: IPv4
endpoints:
- {addresses: [10.2.0.1]}
- {addresses: [10.2.0.2], conditions: {ready: null, serving: null, terminating: null}}
- {addresses: [10.2.0.3], conditions: {ready: false}}
- {addresses: [10.2.0.4], conditions: {ready: true}}
`,
			want: kubeapi.EndpointSlice{AddressType: "IPv4", Endpoints: []kubeapi.Endpoint{
				{Addr: ip("10.2.0.1"), Ready: true, Serving: true},
				{Addr: ip("10.2.0.2"), Ready: true, Serving: true},
				{Addr: ip("10.2.0.3")},
				{Addr: ip("10.2.0.4"), Ready: true, Serving: true},
			}},
		},
		{
			name: "a port without a number is skipped",
			text: `
addressType: IPv4
ports: [{name: all, port: null}, {name: http, port: 80}]
`,
			want: kubeapi.EndpointSlice{AddressType: "IPv4", Ports: []kubeapi.EndpointPort{{Name: "http", Port: 80}}},
		},
		{
			name: "an endpoint without a valid address is skipped",
			text: `
addressType: IPv4
endpoints: [{addresses: [nonsense]}, {addresses: []}, {}, {addresses: [10.2.0.1]}]
`,
			want: kubeapi.EndpointSlice{AddressType: "IPv4", Endpoints: []kubeapi.Endpoint{{Addr: ip("10.2.0.1"), Ready: true, Serving: true}}},
		},
		{
			name: "IPv6, and IPv4 mapped to IPv6",
			text: `
addressType: IPv6
endpoints: [{addresses: ["fd00::1"]}, {addresses: ["::ffff:10.2.0.1"]}]
`,
			want: kubeapi.EndpointSlice{AddressType: "IPv6", Endpoints: []kubeapi.Endpoint{
				{Addr: ip("fd00::1"), Ready: true, Serving: true},
				{Addr: ip("10.2.0.1"), Ready: true, Serving: true},
			}},
		},
		{
			name: "the endpoints of an FQDN slice are skipped",
			text: `
addressType: FQDN
ports: [{port: 443}]
endpoints: [{addresses: [db.example.com]}, {addresses: [10.2.0.1]}]
`,
			want: kubeapi.EndpointSlice{AddressType: "FQDN", Ports: []kubeapi.EndpointPort{{Port: 443}}},
		},
		{
			name: "a target that is not a Pod",
			text: `
addressType: IPv4
endpoints: [{addresses: [10.2.0.1], targetRef: {kind: VirtualMachine, name: vm}}]
`,
			want: kubeapi.EndpointSlice{AddressType: "IPv4", Endpoints: []kubeapi.Endpoint{{Addr: ip("10.2.0.1"), Ready: true, Serving: true}}},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.want.Key = kubeapi.Key{Namespace: "shop", Name: "cart-1"}
			tt.want.ResourceVersion, tt.want.Service = "7", "cart"
			got, err := kubeapi.Decode(strings.NewReader(head + tt.text))
			if err != nil {
				t.Fatal(err)
			}
			want := map[kubeapi.Key][]*kubeapi.EndpointSlice{{Namespace: "shop", Name: "cart"}: {&tt.want}}
			if diff := cmp.Diff(want, maps.Collect(got.Slices.All()), equateAddrs(), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("slices (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDecodeForms(t *testing.T) {
	const slice = `{"apiVersion":"discovery.k8s.io/v1","kind":"EndpointSlice","metadata":{"namespace":"shop","name":"cart-1","labels":{"kubernetes.io/service-name":"cart"}},"addressType":"IPv4"}`
	for _, tt := range []struct {
		name string
		text string
		want string // services, then the Services of slices
	}{
		{
			name: "a List, its kind after its items, as kubectl prints JSON",
			text: `{"apiVersion":"v1","items":[{"apiVersion":"v1","kind":"Service","metadata":{"namespace":"shop","name":"cart"}},` + slice + `],"kind":"List","metadata":{"resourceVersion":""}}`,
			want: "shop/cart | shop/cart",
		},
		{
			name: "a List in YAML",
			text: "apiVersion: v1\nitems:\n- apiVersion: v1\n  kind: Service\n  metadata: {name: cart, namespace: shop}\nkind: List\nmetadata:\n  resourceVersion: \"\"\n",
			want: "shop/cart |",
		},
		{
			name: "a ServiceList, whose items have no kind",
			text: `{"kind":"ServiceList","apiVersion":"v1","metadata":{"resourceVersion":"7"},"items":[{"metadata":{"namespace":"shop","name":"pay"}},{"metadata":{"namespace":"shop","name":"cart"}}]}`,
			want: "shop/cart shop/pay |",
		},
		{
			name: "an EndpointSliceList",
			text: `{"kind":"EndpointSliceList","apiVersion":"discovery.k8s.io/v1","items":[` + slice + `]}`,
			want: "| shop/cart",
		},
		{
			name: "an empty List",
			text: `{"apiVersion":"v1","items":[],"kind":"List"}`,
			want: "|",
		},
		{
			name: "documents, with and without markers and comments",
			text: "# cluster\n---\n# one\nkind: Service\napiVersion: v1\nmetadata: {name: cart}\n--- # two\n" + slice + "\n---\n\n---\n# nothing\n---\nkind: Service\napiVersion: v1\nmetadata: {name: pay, annotations: {a: \"x\\n---\\ny\"}}\n",
			want: "default/cart default/pay | shop/cart",
		},
		{
			name: "Windows line ends",
			text: "kind: Service\r\napiVersion: v1\r\nmetadata: {name: cart}\r\n---\r\nkind: Service\r\napiVersion: v1\r\nmetadata: {name: pay}\r\n",
			want: "default/cart default/pay |",
		},
		{
			name: "other kinds are skipped, also a Service of another API group",
			text: "kind: Pod\napiVersion: v1\nmetadata: {name: p}\n---\nkind: Service\napiVersion: serving.knative.dev/v1\nmetadata: {name: k}\n---\nkind: PodList\napiVersion: v1\nitems: [{metadata: {name: p}}]\n",
			want: "|",
		},
		{
			name: "a slice without a Service is skipped",
			text: "kind: EndpointSlice\napiVersion: discovery.k8s.io/v1\nmetadata: {name: s}\naddressType: IPv4\n",
			want: "|",
		},
		{
			name: "the last object of a name wins",
			text: "kind: Service\napiVersion: v1\nmetadata: {name: cart, uid: a}\n---\nkind: Service\napiVersion: v1\nmetadata: {name: cart, uid: b}\n",
			want: "default/cart |",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, err := kubeapi.Decode(strings.NewReader(tt.text))
			if err != nil {
				t.Fatal(err)
			}
			var words []string
			for _, svc := range s.Services {
				words = append(words, svc.Key.String())
			}
			words = append(words, "|")
			for key := range s.Slices.All() {
				words = append(words, key.String())
			}
			if diff := cmp.Diff(tt.want, strings.Join(words, " ")); diff != "" {
				t.Errorf("objects (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDecodeErrors(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"nothing", " \n", "read objects: the input is empty"},
		{"broken JSON", `{"kind":`, "read objects: document 1: unexpected end of JSON input"},
		{"broken YAML", "kind: Service\n---\na: [", "read objects: document 2: yaml: line 2: did not find expected node content"},
		{"text", "hello", "read objects: document 1: not a Kubernetes object (write what kubectl get services,endpointslices -o yaml prints)"},
		{"no kind", "a: 1", "read objects: document 1: not a Kubernetes object (write what kubectl get services,endpointslices -o yaml prints)"},
		{
			"an item is named",
			`{"kind":"List","apiVersion":"v1","items":[{"kind":"Pod","apiVersion":"v1"},{"kind":"Service","apiVersion":"v1","metadata":{"namespace":"shop","name":"cart"},"spec":{"ports":"none"}}]}`,
			"read objects: document 1: item 2: Service shop/cart: spec.ports: unexpected string",
		},
		{"a name is missing", "kind: Service\napiVersion: v1\nmetadata: {namespace: shop}", "read objects: document 1: Service without a name"},
		{"an item is not an object", `{"kind":"List","apiVersion":"v1","items":[7]}`, "read objects: document 1: item 1: unexpected number"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := kubeapi.Decode(strings.NewReader(tt.text))
			if err == nil {
				t.Fatal("no error")
			}
			if diff := cmp.Diff(tt.want, err.Error()); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
		})
	}
}

func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		`{"apiVersion":"v1","kind":"List","items":[{"apiVersion":"v1","kind":"Service","metadata":{"name":"cart"},"spec":{"ports":[{"port":80}]}}]}`,
		`{"kind":"EndpointSliceList","apiVersion":"discovery.k8s.io/v1","items":[{"metadata":{"name":"s","labels":{"kubernetes.io/service-name":"cart"}},"ports":null,"endpoints":[{"addresses":["10.0.0.1"]}]}]}`,
		"kind: Service\napiVersion: v1\nmetadata:\n  name: a\n---\n# b\n--- {}\n",
		"---", "null", "{}", "[]", "- a\n",
	} {
		f.Add(seed)
	}
	for _, name := range []string{"services", "endpointslices"} {
		text, err := os.ReadFile("../testdata/kubeapi/" + name + ".json")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := kubeapi.Decode(strings.NewReader(text))
		if (s == nil) != (err != nil) {
			t.Fatalf("Snapshot %v and error %v", s, err)
		}
		if err != nil {
			return
		}
		for i, svc := range s.Services {
			if svc.Name == "" || svc.Namespace == "" {
				t.Errorf("a Service without a name: %+v", svc)
			}
			if i > 0 && s.Services[i-1].Compare(svc.Key) >= 0 {
				t.Errorf("%s is listed before %s", s.Services[i-1].Key, svc.Key)
			}
		}
		for key, group := range s.Slices.All() {
			for i, slice := range group {
				if slice.Service != key.Name || slice.Namespace != key.Namespace {
					t.Errorf("slice %s of Service %s is in the group of %s", slice.Key, slice.Service, key)
				}
				if i > 0 && group[i-1].Compare(slice.Key) >= 0 {
					t.Errorf("%s is listed before %s", group[i-1].Key, slice.Key)
				}
				for _, e := range slice.Endpoints {
					if !e.Addr.IsValid() || e.Addr.Is4In6() {
						t.Errorf("slice %s has address %v", slice.Key, e.Addr)
					}
				}
			}
		}
	})
}

func TestDecodeComparesLabelsWithCase(t *testing.T) {
	got, err := kubeapi.Decode(strings.NewReader(`
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: cart-1, labels: {kubernetes.io/service-name: cart, kubernetes.io/Service-Name: pay}}
`))
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Slices.Of(kubeapi.Key{Namespace: "default", Name: "cart"})) != 1 {
		t.Errorf("slices %v, want one of cart: labels differ by case", maps.Collect(got.Slices.All()))
	}
}
