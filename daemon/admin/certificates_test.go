// SPDX-License-Identifier: Apache-2.0

package admin

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"podgate/daemon/compile"
	"podgate/kubeapi"
)

// withCertificates is a View with certificates that expire in so many hours.
func withCertificates(t *testing.T, hours ...int) *View {
	v := newView(t, 1, 1)
	for i, h := range hours {
		v.Certificates = append(v.Certificates, Certificate{Source: fmt.Sprintf("/c/%04d.pem", i), Expires: v.At.Add(time.Duration(h)*time.Hour + time.Minute)})
	}
	return v
}

func printed(s Status, style Style) string {
	var text strings.Builder
	s.Print(&text, style)
	return text.String()
}

func TestCertificatesThatExpireAreOneReason(t *testing.T) {
	for _, row := range []struct {
		name    string
		hours   []int
		reasons []string
		listed  int
	}{
		{"none expires, and all are counted", []int{1000, 2000}, []string{}, 0},
		{"one is named", []int{20, 1000}, []string{"certificate /c/0000.pem expires in 20h1m"}, 0},
		{"one that has expired is named", []int{-3, 1000}, []string{"certificate /c/0000.pem expired 2h59m ago"}, 0},
		{"several are counted", []int{20, 30, 1000}, []string{"2 certificates expire soon"}, 2},
		{"several that have expired", []int{-30, -20}, []string{"2 certificates have expired"}, 2},
		{"several, some of which have expired", []int{-30, 20, 30, 1000}, []string{"3 certificates expire soon or have expired"}, 3},
	} {
		t.Run(row.name, func(t *testing.T) {
			v := withCertificates(t, row.hours...)
			s := newStatus(v, v.At)
			if diff := cmp.Diff(row.reasons, s.Reasons); diff != "" {
				t.Errorf("reasons (-want +got):\n%s", diff)
			}
			if n := strings.Count(printed(s, Style{All: true}), "\n  /c/"); n != row.listed {
				t.Errorf("%d are listed, want %d, in\n%s", n, row.listed, printed(s, Style{All: true}))
			}
		})
	}
}

// A thousand certificates that expire leave room for everything else on the screen
// and on the page; JSON has all of them.
func TestAThousandCertificatesThatExpireAreAFewLines(t *testing.T) {
	v := withCertificates(t, make([]int, 1000)...)
	s := newStatus(v, v.At)
	screen, all := printed(s, Style{}), printed(s, Style{All: true})
	want := "\nEXPIRING CERTIFICATES (1000)\n  /c/0000.pem expires in 1m0s\n  /c/0001.pem expires in 1m0s\n" +
		"  /c/0002.pem expires in 1m0s\n  /c/0003.pem expires in 1m0s\n  and 996 more: podgate status --all\n"
	if n := strings.Count(screen, "\n"); n > 30 || !strings.Contains(screen, want) {
		t.Errorf("%d lines:\n%s", n, screen)
	}
	if n := strings.Count(all, "\n  /c/"); n != 1000 || strings.Contains(all, " more: ") {
		t.Errorf("--all has %d of 1000", n)
	}
	page := get(newServer(v), "GET", "/", "127.0.0.1").Body.String()
	if n := strings.Count(page, "<li>/c/"); n != pageProblems || !strings.Contains(page, "<p>and 950 more: podgate status --all</p>") || !strings.Contains(page, "<li>1000 certificates expire soon</li>") {
		t.Errorf("the page has %d of them:\n%s", n, page)
	}
	var got struct {
		Count struct {
			Certificates map[string]int
		}
		Certificates []struct{ Source string }
	}
	text := get(newServer(v), "GET", "/api/v1/status", "127.0.0.1").Body.Bytes()
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]int{"valid": 0, "expiring": 1000, "expired": 0}, got.Count.Certificates); diff != "" || len(got.Certificates) != 1000 {
		t.Errorf("%d certificates in JSON, counts (-want +got):\n%s", len(got.Certificates), diff)
	}
}

// JSON, screen, page and metrics have the same counts.
func TestCertificateProblemsAreCountedWithTheOthers(t *testing.T) {
	since := time.Now().Add(-time.Hour).UTC().Truncate(time.Second)
	service := compile.Problem{Kind: compile.Conflict, Service: kubeapi.Key{Namespace: "shop", Name: "svc-00000"}, Text: "is taken"}
	certificate := func(n int) CertificateProblem {
		return CertificateProblem{File: fmt.Sprintf("/c/%04d.pem", n), Text: "holds no PEM", Since: since}
	}
	v := newView(t, 1, 1)
	v.Problems = []Problem{{Problem: service, Since: since}}
	v.CertificateProblems = []CertificateProblem{certificate(0)}
	s := newStatus(v, v.At)
	want := []StatusProblem{
		{Kind: "certificate", Certificate: "/c/0000.pem", Text: "holds no PEM", Since: since},
		{Kind: compile.Conflict, Service: "shop/svc-00000", Text: "is taken", Since: since},
	}
	if diff := cmp.Diff(want, s.Problems); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"certificate /c/0000.pem: holds no PEM", "1 problem with a Service"}, s.Reasons); diff != "" {
		t.Errorf("reasons (-want +got):\n%s", diff)
	}

	for n := range 999 {
		v.CertificateProblems = append(v.CertificateProblems, certificate(n+1))
	}
	s = newStatus(v, v.At)
	if diff := cmp.Diff([]string{"1000 certificate problems", "1 problem with a Service"}, s.Reasons); diff != "" {
		t.Errorf("reasons (-want +got):\n%s", diff)
	}
	if s.Count.Problems != 1001 || len(s.Problems) != 1001 {
		t.Errorf("%d problems are counted, %d listed", s.Count.Problems, len(s.Problems))
	}
	if diff := cmp.Diff(map[compile.Kind]int{"certificate": 1000, "conflict": 1}, s.Count.ProblemKinds); diff != "" {
		t.Errorf("by kind (-want +got):\n%s", diff)
	}
	metrics := scrape(t, newServer(v))
	for _, kind := range append(compile.Kinds(), "certificate") {
		if line := fmt.Sprintf("\npodgate_problems{kind=%q} %d\n", kind, s.Count.ProblemKinds[kind]); !strings.Contains(metrics, line) {
			t.Errorf("the metrics have no %q", line)
		}
	}
	screen := printed(s, Style{})
	if n := strings.Count(screen, "\n"); n > 30 || !strings.Contains(screen, "\nPROBLEMS (1001)\n  certificate /c/0000.pem: holds no PEM\n") || !strings.Contains(screen, "\n  and 993 more: podgate status --all\n") {
		t.Errorf("%d lines:\n%s", n, screen)
	}
	page := get(newServer(v), "GET", "/", "127.0.0.1").Body.String()
	if !strings.Contains(page, "Problems (1001)") || !strings.Contains(page, `<li>certificate /c/0000.pem <span class="kind">certificate</span> holds no PEM</li>`) || !strings.Contains(page, "<p>and 951 more: podgate status --all</p>") {
		t.Errorf("the page:\n%s", page)
	}
}
