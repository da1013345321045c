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

// Secret is a Secret of type kubernetes.io/tls. It shows its key to nobody but
// who asks for the bytes.
type Secret struct {
	Key
	ResourceVersion string
	Certificate     []byte // tls.crt
	PrivateKey      []byte // tls.key
}

// Format prints which Secret it is and not what it holds, whatever the verb.
func (s *Secret) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "Secret %s", s.Key) }

// ErrNoSecret is of a Secret that there is not.
var ErrNoSecret = errors.New("there is no such Secret")

// maxSecret is the most that the API server stores, in base64 and with what is
// around it.
const maxSecret = 4 << 20

// Secret reads one Secret by its name: it needs the verb "get" on secrets of that
// name, in that namespace, and lists none. The error is ErrNoSecret where there is
// none, and holds nothing of what is in it.
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
		return nil, errors.New("read answer: not a Secret in JSON") // and not what stands there
	}
	if w.Type != "kubernetes.io/tls" {
		return nil, fmt.Errorf("it is of type %q and not kubernetes.io/tls", w.Type)
	}
	return &Secret{Key: key, ResourceVersion: w.Metadata.ResourceVersion, Certificate: w.Data["tls.crt"], PrivateKey: w.Data["tls.key"]}, nil
}
