// SPDX-License-Identifier: Apache-2.0

package kubeapitest

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// resource is one collection.
type resource struct {
	name       string // plural
	kind       string
	apiVersion string
}

func servicesResource() resource { return resource{"services", "Service", "v1"} }

func slicesResource() resource {
	return resource{"endpointslices", "EndpointSlice", "discovery.k8s.io/v1"}
}

func nodesResource() resource { return resource{"nodes", "Node", "v1"} }

func allResources() []resource {
	return []resource{servicesResource(), slicesResource(), nodesResource()}
}

// resourceByKind returns the resource of a kind.
func resourceByKind(kind string) (resource, error) {
	for _, r := range allResources() {
		if kind == r.kind {
			return r, nil
		}
	}
	return resource{}, fmt.Errorf("kind %q is neither Service, EndpointSlice nor Node", kind)
}

// request is a list or a watch.
type request struct {
	resource  resource
	namespace string // "" is all of them
	selector  selector
	watch     bool
	bookmarks bool
	version   string
	timeout   time.Duration // zero: none
	limit     int           // zero: none
	next      string        // continue token
	initial   bool          // sendInitialEvents: a watch that begins with a list
	matching  string        // resourceVersionMatch
	protobuf  bool          // the answer is in protobuf
	gzip      bool          // the answer may be compressed
}

// verb returns the RBAC verb.
func (r request) verb() string {
	if r.watch {
		return "watch"
	}
	return "list"
}

// parseRequest reads /api/v1/services,
// /apis/discovery.k8s.io/v1/endpointslices and either one below
// namespaces/NAMESPACE.
func parseRequest(req *http.Request) (request, error) {
	var r request
	r.parseAccept(req.Header)
	path := req.URL.Path
	for _, known := range allResources() {
		prefix := "/api/"
		if strings.Contains(known.apiVersion, "/") {
			prefix = "/apis/"
		}
		rest, ok := strings.CutPrefix(path, prefix+known.apiVersion+"/")
		if !ok {
			continue
		}
		if inside, ok := strings.CutPrefix(rest, "namespaces/"); ok {
			r.namespace, rest, _ = strings.Cut(inside, "/")
		}
		if rest == known.name {
			r.resource = known
			return r, r.parseQuery(req)
		}
	}
	return r, errors.New("the server could not find the requested resource")
}

func (r *request) parseQuery(req *http.Request) (err error) {
	query := req.URL.Query()
	if r.selector, err = parseSelector(query.Get("labelSelector")); err != nil {
		return err
	}
	r.watch = query.Get("watch") == "true" || query.Get("watch") == "1"
	r.bookmarks = query.Get("allowWatchBookmarks") == "true"
	r.version = query.Get("resourceVersion")
	r.initial = query.Get("sendInitialEvents") == "true"
	r.matching = query.Get("resourceVersionMatch")
	r.next = query.Get("continue")
	if text := query.Get("limit"); text != "" {
		if r.limit, err = strconv.Atoi(text); err != nil {
			return err
		}
	}
	if text := query.Get("timeoutSeconds"); text != "" {
		seconds, err := strconv.Atoi(text)
		if err != nil {
			return err
		}
		r.timeout = time.Duration(seconds) * time.Second
	}
	return nil
}

// status is a metav1.Status.
type status struct {
	Kind       string   `json:"kind"`
	APIVersion string   `json:"apiVersion"`
	Metadata   struct{} `json:"metadata"`
	Status     string   `json:"status"`
	Message    string   `json:"message"`
	Reason     string   `json:"reason"`
	Code       int      `json:"code"`
}

func newStatus(code int, reason, message string) status {
	return status{Kind: "Status", APIVersion: "v1", Status: "Failure", Message: message, Reason: reason, Code: code}
}
