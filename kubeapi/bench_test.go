// SPDX-License-Identifier: Apache-2.0

package kubeapi_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"runtime"
	"strconv"
	"testing"

	"podgate/kubeapi"
	"podgate/kubeapi/kubeapitest"
	"podgate/kubeapi/wire"
)

// serveMany returns a server of 5,000 EndpointSlices of 20 endpoints.
func serveMany(b *testing.B) *kubeapitest.Server {
	b.Helper()
	s := kubeapitest.New()
	for i := range 5000 {
		name := fmt.Sprintf("app-%04d", i)
		slice := kubeapi.EndpointSlice{
			Key: kubeapi.Key{Namespace: "shop", Name: name + "-abcde"}, Service: name, AddressType: "IPv4",
			Ports: []kubeapi.EndpointPort{{Name: "http", Protocol: "TCP", Port: 8080}},
		}
		for j := range 20 {
			slice.Endpoints = append(slice.Endpoints, kubeapi.Endpoint{
				Addr: netip.AddrFrom4([4]byte{10, byte(i / 250), byte(i % 250), byte(j)}), Ready: true, Serving: true,
				Node: fmt.Sprintf("node-%03d", (i+j)%200), Pod: fmt.Sprintf("%s-%05d", name, j),
			})
		}
		if err := s.SetSlice(slice); err != nil {
			b.Fatal(err)
		}
	}
	return s
}

// answered returns the answer of s to accept: its first n bytes, or all of it if n is 0.
func answered(b *testing.B, s http.Handler, accept, query string, n int64) []byte {
	b.Helper()
	server := httptest.NewServer(s)
	defer server.Close()
	req, err := http.NewRequestWithContext(b.Context(), http.MethodGet, server.URL+"/apis/discovery.k8s.io/v1/endpointslices?"+query, nil)
	if err != nil {
		b.Fatal(err)
	}
	req.Header.Set("Accept", accept)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		b.Fatal(err)
	}
	defer resp.Body.Close()
	var from io.Reader = resp.Body
	if n > 0 {
		from = io.LimitReader(resp.Body, n)
	}
	body, err := io.ReadAll(from)
	if err != nil {
		b.Fatal(err)
	}
	return body
}

const protobuf, inJSON = "application/vnd.kubernetes.protobuf", "application/json"

func decode(b *testing.B, contentType string, body []byte) *wire.List {
	b.Helper()
	l := wire.NewList()
	if _, err := wire.ReadPage(contentType, bytes.NewReader(body), wire.EndpointSlices, l); err != nil || len(l.Objects) != 5000 {
		b.Fatalf("%d slices, want 5000: %v", len(l.Objects), err)
	}
	return l
}

// BenchmarkDecode100kEndpoints measures one list of 100,000 endpoints in each encoding.
// "live" is what stays in memory.
func BenchmarkDecode100kEndpoints(b *testing.B) {
	s := serveMany(b)
	for _, contentType := range []string{protobuf, inJSON} {
		body := answered(b, s, contentType, "", 0)
		b.Run(contentType[len("application/"):], func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			var l *wire.List
			before := liveBytes()
			for b.Loop() {
				l = decode(b, contentType, body)
			}
			b.ReportMetric(float64(liveBytes()-before)/(1<<20), "MiB-live")
			runtime.KeepAlive(l)
		})
	}
}

// BenchmarkFirstSnapshot measures what the first list of 5,000 slices costs once it
// is decoded.
func BenchmarkFirstSnapshot(b *testing.B) {
	l := decode(b, protobuf, answered(b, serveMany(b), protobuf, "", 0))
	b.ReportAllocs()
	for b.Loop() {
		s := kubeapi.NewStore()
		s.Replace(wire.EndpointSlices, l)
		s.Snapshot()
	}
}

// BenchmarkEvent measures what one event costs among 5,000 Services of 20
// endpoints: from its bytes on the wire to the next Snapshot.
func BenchmarkEvent(b *testing.B) {
	server := serveMany(b)
	l := decode(b, protobuf, answered(b, server, protobuf, "", 0))
	s := kubeapi.NewStore()
	s.Replace(wire.EndpointSlices, l)
	for _, o := range l.Objects {
		slice := o.(*kubeapi.EndpointSlice)
		s.Put(&kubeapi.Service{Key: kubeapi.Key{Namespace: slice.Namespace, Name: slice.Service}, ResourceVersion: "1"})
	}
	const watch = "watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
	head := answered(b, server, protobuf, watch, 4) // the length of the first event
	event := answered(b, server, protobuf, watch, 4+int64(binary.BigEndian.Uint32(head)))
	b.Run("slice", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			e, err := wire.NewEventReader(protobuf, bytes.NewReader(event), wire.EndpointSlices, l.Strings).Next()
			if err != nil {
				b.Fatal(err)
			}
			e.Object.(*kubeapi.EndpointSlice).ResourceVersion = strconv.Itoa(i)
			if !s.Put(e.Object) {
				b.Fatal("nothing changed")
			}
			s.Snapshot()
		}
	})
	b.Run("service", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			s.Put(&kubeapi.Service{Key: kubeapi.Key{Namespace: "shop", Name: "app-0007"}, ResourceVersion: strconv.Itoa(i)})
			s.Snapshot()
		}
	})
}
