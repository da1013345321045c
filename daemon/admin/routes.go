// SPDX-License-Identifier: Apache-2.0

package admin

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"podgate/haproxy"
)

// stuckAfter is the time without a completed pass after which /livez fails. A reload
// may take a minute, and the steps before it another.
const stuckAfter = 3 * time.Minute

// routes returns the handler of all requests. No request changes anything.
func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", s.livez)
	mux.HandleFunc("GET /readyz", s.readyz)
	mux.Handle("GET /metrics", s.metrics)
	mux.HandleFunc("GET /api/v1/status", s.apiStatus)
	mux.HandleFunc("GET /api/v1/services", s.apiServices)
	mux.HandleFunc("GET /api/v1/history", s.apiHistory)
	mux.HandleFunc("GET /api/v1/explain", s.apiExplain)
	mux.HandleFunc("GET /api/v1/progress", s.apiProgress)
	mux.HandleFunc("GET /{$}", s.page)
	mux.HandleFunc("GET /history", s.historyPage)
	mux.HandleFunc("GET /explain", s.explainPage)
	mux.HandleFunc("GET /style.css", s.asset("style.css", "text/css; charset=utf-8"))
	mux.HandleFunc("GET /icon.svg", s.asset("icon.svg", "image/svg+xml"))
	mux.HandleFunc("GET /refresh.js", s.asset("refresh.js", "text/javascript; charset=utf-8"))
	return withHeaders(mux)
}

// withHeaders sets the headers of every answer: no other site may frame, load or
// read it.
func withHeaders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; img-src 'self'; script-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			h.Set("Allow", "GET, HEAD")
			http.Error(w, "read-only: only GET and HEAD are allowed", http.StatusMethodNotAllowed)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// checkHost rejects requests for host names that are not this machine's, because the
// name of another site may resolve to this address (DNS rebinding). It accepts
// addresses.
func (s *Server) checkHost(next http.Handler) http.Handler {
	allowed := slices.Concat([]string{"localhost"}, s.config.Hosts)
	if name, err := os.Hostname(); err == nil {
		allowed = append(allowed, strings.ToLower(name))
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := string(haproxy.CanonicalHost(r.Host))
		_, err := netip.ParseAddr(strings.Trim(host, "[]"))
		if err != nil && !slices.Contains(allowed, host) {
			http.Error(w, "this host name is not allowed (add it to admin.hosts in podgate.toml)", http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (s *Server) livez(w http.ResponseWriter, _ *http.Request) {
	v := s.view.Load()
	if v != nil && time.Since(v.At) > stuckAfter {
		http.Error(w, "the loop has not completed a pass since "+v.At.UTC().Format(time.RFC3339), http.StatusServiceUnavailable)
		return
	}
	writeText(w, "ok\n")
}

// readyz succeeds once the cluster was read, while HAProxy answers and the last pass
// succeeded. It does not fail when the API server is unreachable later, or when HAProxy
// cannot load one of the Services.
func (s *Server) readyz(w http.ResponseWriter, _ *http.Request) {
	if err := notReady(s.view.Load()); err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	writeText(w, "ok\n")
}

func notReady(v *View) error {
	switch {
	case v == nil || v.Snapshot == nil:
		return errors.New("the cluster has not been read yet")
	case !v.Edge.Answers():
		return errors.New("HAProxy does not answer")
	case v.Edge.Trouble != "":
		return errors.New("HAProxy is out of sync: " + v.Edge.Trouble)
	}
	return nil
}

func writeText(w http.ResponseWriter, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write([]byte(text)) // the client may have disconnected
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	_ = e.Encode(v) // the client may have disconnected
}

// apiStatus accepts services=N and changes=N, the maximum number of each.
func (s *Server) apiStatus(w http.ResponseWriter, r *http.Request) {
	status := newStatus(s.view.Load(), time.Now())
	status.Services = limit(status.Services, number(r, "services", len(status.Services)))
	status.Changes = limit(status.Changes, number(r, "changes", 10))
	writeJSON(w, status)
}

func (s *Server) apiServices(w http.ResponseWriter, r *http.Request) {
	rows := []Row{}
	if v := s.view.Load(); v != nil {
		rows = newRows(v)
	}
	writeJSON(w, newListing(r, rows, number(r, "limit", 0)))
}

func (s *Server) apiHistory(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, newHistory(s.view.Load()))
}

func (s *Server) apiProgress(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, map[string]string{"progress": Progress(s.view.Load())})
}

func (s *Server) apiExplain(w http.ResponseWriter, r *http.Request) {
	q, err := queryOf(r.URL.Query())
	var x Explanation
	if err == nil {
		x, err = Explain(r.Context(), s.view.Load(), q)
	}
	if err != nil {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusNotFound)
		writeJSON(w, map[string]string{"error": err.Error()})
		return
	}
	writeJSON(w, x)
}

// number returns a parameter that is a number from 0.
func number(r *http.Request, name string, fallback int) int {
	n, err := strconv.Atoi(r.FormValue(name))
	if err != nil || n < 0 {
		return fallback
	}
	return n
}

func limit[T any](all []T, most int) []T { return all[:min(len(all), most)] }
