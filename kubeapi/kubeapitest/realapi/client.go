// SPDX-License-Identifier: Apache-2.0

package realapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"sigs.k8s.io/yaml"
)

// Content types of bodies.
const (
	JSON       = "application/json"
	MergePatch = "application/merge-patch+json"
	applyPatch = "application/apply-patch+yaml"
)

// Object is a Kubernetes object, or a part of one, as it is sent.
type Object map[string]any

// Client sends requests with one credential. It may be used concurrently.
type Client struct {
	base  string // "https://127.0.0.1:6443"
	http  *http.Client
	token string // "" where a client certificate is used
}

// statusError is an answer without success.
type statusError struct {
	method, path string
	code         int
	text         string
}

func (e *statusError) Error() string {
	return fmt.Sprintf("%s %s: %d: %s", e.method, e.path, e.code, e.text)
}

// StatusCode returns the HTTP status that err carries, 200 for nil and zero for
// anything else.
func StatusCode(err error) int {
	var status *statusError
	switch {
	case err == nil:
		return http.StatusOK
	case errors.As(err, &status):
		return status.code
	}
	return 0
}

// Open sends a request and returns the body of the answer, which the caller closes. A
// string is sent unchanged, nil as no body, anything else as JSON.
func (c *Client) Open(ctx context.Context, method, path, contentType string, body any) (io.ReadCloser, error) {
	var content io.Reader
	switch body := body.(type) {
	case nil:
	case string:
		content = strings.NewReader(body)
	default:
		text, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		content = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, content)
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", "podgate-conformance")
	req.Header.Set("Accept", JSON)
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode >= 300 {
		defer resp.Body.Close()
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 1000))
		return nil, &statusError{method, path, resp.StatusCode, string(text)}
	}
	return resp.Body, nil
}

// Do sends a request and decodes the answer into answer, unless that is nil.
func (c *Client) Do(ctx context.Context, method, path, contentType string, body, answer any) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	content, err := c.Open(ctx, method, path, contentType, body)
	if err != nil {
		return err
	}
	defer content.Close()
	if answer == nil {
		_, err := io.Copy(io.Discard, content)
		return err
	}
	return json.NewDecoder(content).Decode(answer)
}

// awaited bounds Await.
const awaited = 2 * time.Minute

// Await requests path until the answer has this status: RBAC and tokens are read from
// caches, which follow changes after a while.
func (c *Client) Await(t TB, path string, status int) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(awaited); ; {
		err := c.Do(t.Context(), http.MethodGet, path, "", nil, nil)
		if StatusCode(err) == status {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("GET %s is not answered with %d within %v: %v", path, status, awaited, err)
		}
	}
}

// Create POSTs an object to its collection.
func (c *Client) Create(ctx context.Context, collection string, o Object) error {
	return c.Do(ctx, http.MethodPost, collection, JSON, o, nil)
}

// The collections of the kinds in the manifest.
var collections = map[string]string{
	"Namespace":          "/api/v1/namespaces",
	"ServiceAccount":     "/api/v1/namespaces/%s/serviceaccounts",
	"ClusterRole":        "/apis/rbac.authorization.k8s.io/v1/clusterroles",
	"ClusterRoleBinding": "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
}

// Apply is "kubectl apply --server-side -f file". It sends the YAML unchanged.
func (c *Client) Apply(t TB, file string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for document := range strings.SplitSeq(string(text), "\n---\n") {
		var o struct {
			Kind     string
			Metadata struct{ Name, Namespace string }
		}
		err := yaml.Unmarshal([]byte(document), &o)
		collection, ok := collections[o.Kind]
		if err != nil || !ok || o.Metadata.Name == "" {
			t.Fatalf("%s: kind %q, name %q, %v: not an object that this test can apply", file, o.Kind, o.Metadata.Name, err)
		}
		if strings.Contains(collection, "%s") {
			collection = fmt.Sprintf(collection, o.Metadata.Namespace)
		}
		path := collection + "/" + o.Metadata.Name + "?fieldManager=conformance&fieldValidation=Strict"
		if err := c.Do(t.Context(), http.MethodPatch, path, applyPatch, document, nil); err != nil {
			t.Fatalf("apply %s: %v", file, err)
		}
	}
}
