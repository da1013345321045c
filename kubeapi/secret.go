// SPDX-License-Identifier: Apache-2.0

package kubeapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/hashicorp/go-retryablehttp"
)

// Secret is a Secret of type kubernetes.io/tls. Formatting it, with any verb, does
// not show its key.
type Secret struct {
	Key
	ResourceVersion string
	Certificate     []byte // tls.crt
	PrivateKey      []byte // tls.key
}

// Format prints the key of the Secret, whatever the verb.
func (s *Secret) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "Secret %s", s.Key) }

// ErrNoSecret is returned for a Secret that does not exist.
var ErrNoSecret = errors.New("there is no such Secret")

// maxSecret bounds an answer: the API server stores 1 MiB, which is sent in base64
// with metadata.
const maxSecret = 4 << 20

// Secret reads one Secret by its name, for which the verb "get" on that name
// suffices. The error is ErrNoSecret if it does not exist; no error contains what
// the Secret holds.
func (c *Client) Secret(ctx context.Context, key Key) (*Secret, error) {
	server := c.servers.current()
	s, err := c.getSecret(ctx, server, key)
	if err != nil {
		return nil, fmt.Errorf("read Secret %s: %w", key, err)
	}
	return s, nil
}

func (c *Client) getSecret(ctx context.Context, server *url.URL, key Key) (*Secret, error) {
	ctx, cancel := answerWithin(ctx, c.timeouts.page)
	defer cancel()
	u := server.JoinPath("api", "v1", "namespaces", url.PathEscape(key.Namespace), "secrets", url.PathEscape(key.Name))
	req, err := retryablehttp.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	resp, err := c.lists.Do(req)
	if err != nil {
		return nil, c.requestError(ctx, err)
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusNotFound:
		return nil, ErrNoSecret
	case http.StatusForbidden:
		return nil, fmt.Errorf("403 Forbidden (a role in namespace %s needs the rule {apiGroups: [\"\"], resources: [secrets], resourceNames: [%s], verbs: [get]})", key.Namespace, key.Name)
	default:
		return nil, c.answerError(resp, "get", source{})
	}
	var w struct {
		Type     string `json:"type"`
		Metadata struct {
			ResourceVersion string `json:"resourceVersion"`
		} `json:"metadata"`
		Data map[string][]byte `json:"data"`
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxSecret)).Decode(&w); err != nil {
		return nil, errors.New("read answer: not a Secret in JSON") // err could quote the key
	}
	if w.Type != "kubernetes.io/tls" {
		return nil, fmt.Errorf("it is of type %q and not kubernetes.io/tls", w.Type)
	}
	return &Secret{Key: key, ResourceVersion: w.Metadata.ResourceVersion, Certificate: w.Data["tls.crt"], PrivateKey: w.Data["tls.key"]}, nil
}
