// SPDX-License-Identifier: Apache-2.0

package kubeapi

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"podgate/kubeapi/wire"
)

// probeTimeout bounds one request of Probe.
const probeTimeout = 10 * time.Second

// Access is one permission that following needs.
type Access struct {
	Verb      string // "list" or "watch"
	Resource  string // "services"
	Namespace string // "" is all of them
	Err       error  // why it is missing; nil if it is granted
}

// String is `list services in namespace "shop"`.
func (a Access) String() string {
	if a.Namespace == "" {
		return a.Verb + " " + a.Resource
	}
	return fmt.Sprintf("%s %s in namespace %q", a.Verb, a.Resource, a.Namespace)
}

// Probe tries every verb that following needs, with lists of one object. It ends
// with the first one that fails and is not forbidden: the others would fail for the
// same reason.
func (c *Client) Probe(ctx context.Context) []Access {
	var all []Access
	for _, src := range c.sources() {
		verbs := []string{"list"}
		if c.cfg.Watch {
			verbs = append(verbs, "watch")
		}
		for _, verb := range verbs {
			a := Access{Verb: verb, Resource: src.resource.String(), Namespace: src.namespace}
			a.Err = c.probe(ctx, src, verb)
			all = append(all, a)
			if a.Err != nil && statusCode(a.Err) != http.StatusForbidden {
				return all
			}
		}
	}
	return all
}

// probe requests one page of one object, or a watch of one second.
func (c *Client) probe(ctx context.Context, src source, verb string) error {
	ctx, cancel := answerWithin(ctx, probeTimeout)
	defer cancel()
	query := url.Values{"limit": {"1"}}
	if verb == "watch" {
		query = url.Values{"watch": {"true"}, "timeoutSeconds": {"1"}}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, src.url(c.servers.current(), query), nil)
	if err != nil {
		return err
	}
	req.Header.Set("Accept", wire.Accept)
	resp, err := c.http.Do(req)
	if err != nil {
		return c.requestError(ctx, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return c.answerError(resp, verb, src)
	}
	return nil
}
