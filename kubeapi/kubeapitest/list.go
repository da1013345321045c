// SPDX-License-Identifier: Apache-2.0

package kubeapitest

import (
	"encoding/json"
	"net/http"
	"strconv"
)

// page has the objects that follow the last page of a list, in the state of the first page.
type page struct {
	version int
	rest    []*object
}

type listMeta struct {
	ResourceVersion    string `json:"resourceVersion"`
	Continue           string `json:"continue,omitempty"`
	RemainingItemCount int    `json:"remainingItemCount,omitempty"`
}

type list struct {
	Kind       string            `json:"kind"`
	APIVersion string            `json:"apiVersion"`
	Metadata   listMeta          `json:"metadata"`
	Items      []json.RawMessage `json:"items"`

	objects []*object // the items
}

func (s *Server) serveList(w http.ResponseWriter, r request) {
	s.mu.Lock()
	p := &page{version: s.version}
	if r.next == "" {
		p.rest = s.selected(r)
	} else {
		token, _ := strconv.Atoi(r.next)
		p = s.pages[token]
	}
	if p == nil {
		s.mu.Unlock()
		writeStatus(w, r, http.StatusGone, "Expired", "The provided continue parameter is too old to display a consistent list result.")
		return
	}
	l := list{Kind: r.resource.kind + "List", APIVersion: r.resource.apiVersion, Items: []json.RawMessage{}}
	l.Metadata.ResourceVersion = strconv.Itoa(p.version)
	here := p.rest
	if limit := s.limit(r); limit > 0 && len(here) > limit {
		here = p.rest[:limit]
		l.Metadata.RemainingItemCount = len(p.rest) - limit
		l.Metadata.Continue = s.keep(&page{version: p.version, rest: p.rest[limit:]})
	}
	s.mu.Unlock()

	l.objects = here
	for _, o := range here {
		l.Items = append(l.Items, o.json)
	}
	write(w, r, http.StatusOK, l)
}

// limit returns the length of a page, zero for all objects: the limit of the request, or
// less. The caller holds s.mu.
func (s *Server) limit(r request) int {
	if r.limit > 0 && s.faults.pageSize > 0 {
		return min(r.limit, s.faults.pageSize)
	}
	return r.limit
}

// keep returns a continue token for p. Old tokens expire. The caller holds s.mu.
func (s *Server) keep(p *page) string {
	const most = 256
	s.page++
	s.pages[s.page] = p
	delete(s.pages, s.page-most)
	return strconv.Itoa(s.page)
}
