// SPDX-License-Identifier: Apache-2.0

package admin

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// withCertificates is a View of as many certificates that end hours from now.
func withCertificates(t *testing.T, hours ...int) *View {
	v := viewOf(t, 1, 1)
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

func TestOneReasonIsOfAllCertificatesThatExpire(t *testing.T) {
	for _, row := range []struct {
		name    string
		hours   []int
		reasons []string
		listed  int
	}{
		{"none, and their number is still told", []int{1000, 2000}, []string{}, 0},
		{"one is named", []int{20, 1000}, []string{"certificate /c/0000.pem expires in 20h1m"}, 0},
		{"one that has expired is named", []int{-3, 1000}, []string{"certificate /c/0000.pem expired 2h59m ago"}, 0},
		{"several are counted", []int{20, 30, 1000}, []string{"2 certificates expire soon"}, 2},
		{"several that have expired", []int{-30, -20}, []string{"2 certificates have expired"}, 2},
		{"several, of which some have", []int{-30, 20, 30, 1000}, []string{"3 certificates expire soon or have expired"}, 3},
	} {
		t.Run(row.name, func(t *testing.T) {
			v := withCertificates(t, row.hours...)
			s := StatusOf(v, v.At)
			if diff := cmp.Diff(row.reasons, s.Reasons); diff != "" {
				t.Errorf("reasons (-want +got):\n%s", diff)
			}
			if n := strings.Count(printed(s, Style{All: true}), "\n  /c/"); n != row.listed {
				t.Errorf("%d are listed, want %d, in\n%s", n, row.listed, printed(s, Style{All: true}))
			}
		})
	}
}

// A thousand certificates that expire at once leave room for all else on the
// screen and on the page; a program gets all of them.
func TestAThousandCertificatesThatExpireAreAFewLines(t *testing.T) {
	v := withCertificates(t, make([]int, 1000)...)
	s := StatusOf(v, v.At)
	screen, all := printed(s, Style{}), printed(s, Style{All: true})
	want := "\nEXPIRING CERTIFICATES (1000)\n  /c/0000.pem expires in 1m0s\n  /c/0001.pem expires in 1m0s\n" +
		"  /c/0002.pem expires in 1m0s\n  /c/0003.pem expires in 1m0s\n  and 996 more: podgate status --all\n"
	if n := strings.Count(screen, "\n"); n > 30 || !strings.Contains(screen, want) {
		t.Errorf("%d lines:\n%s", n, screen)
	}
	if n := strings.Count(all, "\n  /c/"); n != 1000 || strings.Contains(all, " more: ") {
		t.Errorf("--all has %d of 1000", n)
	}
	page := get(serverOf(v), "GET", "/", "127.0.0.1").Body.String()
	if n := strings.Count(page, "<li>/c/"); n != pageProblems || !strings.Contains(page, "<p>and 950 more: podgate status --all</p>") || !strings.Contains(page, "<li>1000 certificates expire soon</li>") {
		t.Errorf("the page has %d of them:\n%s", n, page)
	}
	var got struct {
		Count struct {
			Certificates map[string]int
		}
		Certificates []struct{ Source string }
	}
	text := get(serverOf(v), "GET", "/api/v1/status", "127.0.0.1").Body.Bytes()
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]int{"valid": 0, "expiring": 1000, "expired": 0}, got.Count.Certificates); diff != "" || len(got.Certificates) != 1000 {
		t.Errorf("%d certificates in JSON, counts (-want +got):\n%s", len(got.Certificates), diff)
	}
}
