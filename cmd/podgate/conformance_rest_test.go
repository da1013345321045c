//go:build conformance

// SPDX-License-Identifier: Apache-2.0

package main_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
)

// Content types of the bodies that the API server takes.
const (
	asJSON       = "application/json"
	asMergePatch = "application/merge-patch+json"
	asApply      = "application/apply-patch+yaml"
)

// object is a Kubernetes object, or a part of one, as it is sent.
type object map[string]any

// api speaks to the API server in somebody's name. It may be used concurrently.
type api struct {
	base  string // "https://127.0.0.1:6443"
	http  *http.Client
	token string // "" where the client certificate says who asks
}

// statusError is an answer that is no success.
type statusError struct {
	method, path string
	code         int
	text         string
}

func (e *statusError) Error() string {
	return fmt.Sprintf("%s %s: %d: %s", e.method, e.path, e.code, e.text)
}

// statusCode returns the HTTP status that err carries, 200 for nil and zero for
// anything else.
func statusCode(err error) int {
	var status *statusError
	switch {
	case err == nil:
		return http.StatusOK
	case errors.As(err, &status):
		return status.code
	}
	return 0
}

// open sends a request and returns the answer's body, which the caller closes.
// The body is sent as it stands when it is text, else as JSON; nil sends none.
func (a *api) open(ctx context.Context, method, path, contentType string, body any) (io.ReadCloser, error) {
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
	req, err := http.NewRequestWithContext(ctx, method, a.base+path, content)
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", "podgate-conformance")
	req.Header.Set("Accept", asJSON)
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	if a.token != "" {
		req.Header.Set("Authorization", "Bearer "+a.token)
	}
	resp, err := a.http.Do(req)
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

// do sends a request and decodes the answer into answer, unless that is nil.
func (a *api) do(ctx context.Context, method, path, contentType string, body, answer any) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	content, err := a.open(ctx, method, path, contentType, body)
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

// create POSTs an object to its collection.
func (a *api) create(ctx context.Context, collection string, o object) error {
	return a.do(ctx, http.MethodPost, collection, asJSON, o, nil)
}

// The collections of the manifest's kinds.
var collections = map[string]string{
	"Namespace":          "/api/v1/namespaces",
	"ServiceAccount":     "/api/v1/namespaces/%s/serviceaccounts",
	"ClusterRole":        "/apis/rbac.authorization.k8s.io/v1/clusterroles",
	"ClusterRoleBinding": "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
}

var (
	documentEnd   = regexp.MustCompile(`(?m)^---\n`)
	kindLine      = regexp.MustCompile(`(?m)^kind: (\S+)$`)
	nameLine      = regexp.MustCompile(`(?m)^metadata:\n(?:  .*\n)*?  name: (\S+)$`)
	namespaceLine = regexp.MustCompile(`(?m)^metadata:\n(?:  .*\n)*?  namespace: (\S+)$`)
)

// apply does what "kubectl apply --server-side -f file" does. The YAML goes to
// the server as it stands.
func (a *api) apply(t *testing.T, file string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, document := range documentEnd.Split(string(text), -1) {
		kind, name, namespace := first(kindLine, document), first(nameLine, document), first(namespaceLine, document)
		collection, ok := collections[kind]
		if !ok || name == "" {
			t.Fatalf("%s: kind %q, name %q: not an object that this test can apply", file, kind, name)
		}
		if strings.Contains(collection, "%s") {
			collection = fmt.Sprintf(collection, namespace)
		}
		path := collection + "/" + name + "?fieldManager=conformance&fieldValidation=Strict"
		if err := a.do(t.Context(), http.MethodPatch, path, asApply, document, nil); err != nil {
			t.Fatalf("apply %s: %v", file, err)
		}
	}
}

// first returns the first group of the first match, "" without one.
func first(re *regexp.Regexp, text string) string {
	if m := re.FindStringSubmatch(text); m != nil {
		return m[1]
	}
	return ""
}
