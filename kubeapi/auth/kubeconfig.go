// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"sigs.k8s.io/yaml"
)

// kubeconfig has the fields that are read of a kubeconfig (client-go clientcmd/api/v1).
type kubeconfig struct {
	CurrentContext string `json:"current-context"`
	Contexts       []struct {
		Name    string `json:"name"`
		Context struct {
			Cluster string `json:"cluster"`
			User    string `json:"user"`
		} `json:"context"`
	} `json:"contexts"`
	Clusters []struct {
		Name    string            `json:"name"`
		Cluster kubeconfigCluster `json:"cluster"`
	} `json:"clusters"`
	Users []struct {
		Name string         `json:"name"`
		User kubeconfigUser `json:"user"`
	} `json:"users"`
}

type kubeconfigCluster struct {
	Server        string `json:"server"`
	TLSServerName string `json:"tls-server-name"`
	Insecure      bool   `json:"insecure-skip-tls-verify"`
	CAFile        string `json:"certificate-authority"`
	CAData        string `json:"certificate-authority-data"`
	ProxyURL      string `json:"proxy-url"`
}

type kubeconfigUser struct {
	CertFile  string `json:"client-certificate"`
	CertData  string `json:"client-certificate-data"`
	KeyFile   string `json:"client-key"`
	KeyData   string `json:"client-key-data"`
	Token     string `json:"token"`
	TokenFile string `json:"tokenFile"`

	// Rejected, because without them the requests would be those of another user.
	Username     string `json:"username"`
	Password     string `json:"password"`
	As           string `json:"as"`
	AuthProvider any    `json:"auth-provider"`

	Exec *kubeconfigExec `json:"exec"`
}

type kubeconfigExec struct {
	APIVersion string   `json:"apiVersion"`
	Command    string   `json:"command"`
	Args       []string `json:"args"`
	Env        []struct {
		Name  string `json:"name"`
		Value string `json:"value"`
	} `json:"env"`
	InstallHint     string `json:"installHint"`
	InteractiveMode string `json:"interactiveMode"`
	ProvideCluster  bool   `json:"provideClusterInfo"`
}

// accessFromKubeconfig reads the kubeconfig at path and what its context names.
func accessFromKubeconfig(path, context string) (access, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return access{}, fmt.Errorf("read kubeconfig: %v", err)
	}
	a, err := parseKubeconfig(text, path, context)
	if err != nil {
		return access{}, fmt.Errorf("read kubeconfig %s: %v", path, err)
	}
	return a, nil
}

func parseKubeconfig(text []byte, path, context string) (access, error) {
	var k kubeconfig
	if err := yaml.Unmarshal(text, &k); err != nil {
		return access{}, err
	}
	clusterName, userName, err := k.context(context)
	if err != nil {
		return access{}, err
	}
	cluster, err := k.cluster(clusterName)
	if err != nil {
		return access{}, err
	}
	user, err := k.user(userName)
	if err != nil {
		return access{}, err
	}
	a := access{
		server:     cluster.Server,
		serverName: cluster.TLSServerName,
		insecure:   cluster.Insecure,
		proxy:      cluster.ProxyURL,
		token:      user.Token,
	}
	f := kubeconfigFiles{path: path, read: []string{path}}
	a.ca, a.caOrigin = f.content("certificate-authority", cluster.CAFile, cluster.CAData)
	a.cert, a.certOrigin = f.content("client-certificate", user.CertFile, user.CertData)
	a.key, _ = f.content("client-key", user.KeyFile, user.KeyData)
	if f.err != nil {
		return access{}, f.err
	}
	if (a.cert == nil) != (a.key == nil) {
		return access{}, fmt.Errorf("user %q: a client-certificate needs its client-key, and the key its certificate", userName)
	}
	if user.TokenFile != "" {
		a.tokenFile = f.resolve(user.TokenFile)
		f.read = append(f.read, a.tokenFile)
	}
	if user.Exec != nil {
		a.exec = f.plugin(user.Exec, a)
	}
	a.files = f.read
	if user.Token != "" {
		a.tokenOrigin = fmt.Sprintf("the token of user %q in %s", userName, path)
	}
	return a, nil
}

// context returns the cluster and the user that the context names; "" is the
// current one.
func (k *kubeconfig) context(name string) (cluster, user string, err error) {
	if name == "" {
		name = k.CurrentContext
	}
	if name == "" {
		return "", "", fmt.Errorf("no current-context is set (name a context)")
	}
	known := make([]string, 0, len(k.Contexts))
	for _, c := range k.Contexts {
		if c.Name == name {
			return c.Context.Cluster, c.Context.User, nil
		}
		known = append(known, strconv.Quote(c.Name))
	}
	return "", "", fmt.Errorf("no context %q (it has %s)", name, cmp.Or(strings.Join(known, ", "), "none"))
}

func (k *kubeconfig) cluster(name string) (kubeconfigCluster, error) {
	for _, c := range k.Clusters {
		if c.Name != name {
			continue
		}
		if c.Cluster.Server == "" {
			return kubeconfigCluster{}, fmt.Errorf("cluster %q has no server", name)
		}
		return c.Cluster, nil
	}
	return kubeconfigCluster{}, fmt.Errorf("no cluster %q", name)
}

// user returns the user, or an error if its credential is not supported. A context
// without a user is anonymous.
func (k *kubeconfig) user(name string) (kubeconfigUser, error) {
	if name == "" {
		return kubeconfigUser{}, nil
	}
	for _, u := range k.Users {
		if u.Name == name {
			return u.User, u.User.check(name)
		}
	}
	return kubeconfigUser{}, fmt.Errorf("no user %q", name)
}

func (u kubeconfigUser) check(name string) error {
	const remedy = "use a token, a tokenFile, a client certificate or an exec plugin"
	switch {
	case u.Exec != nil && u.Exec.check() != nil:
		return fmt.Errorf("user %q: exec: %v", name, u.Exec.check())
	case u.AuthProvider != nil:
		return fmt.Errorf("user %q: auth-provider is not supported, and was removed in Kubernetes 1.26 (%s)", name, remedy)
	case u.Username != "" || u.Password != "":
		return fmt.Errorf("user %q: username and password are not supported, and were removed in Kubernetes 1.19 (%s)", name, remedy)
	case u.As != "":
		return fmt.Errorf("user %q: impersonation by as is not supported (%s of that user itself)", name, remedy)
	}
	return nil
}

func (e *kubeconfigExec) check() error {
	const group = "client.authentication.k8s.io/"
	switch {
	case e.Command == "":
		return errors.New("no command is set")
	case e.APIVersion != group+"v1" && e.APIVersion != group+"v1beta1":
		return fmt.Errorf("apiVersion %q is not supported (%[2]sv1 and %[2]sv1beta1 are)", e.APIVersion, group)
	case e.InteractiveMode == "Always":
		return fmt.Errorf("%q needs a terminal, which a daemon does not have (interactiveMode: Always)", e.Command)
	}
	return nil
}

// kubeconfigFiles reads what a kubeconfig has inline or in a file, up to the first
// error.
type kubeconfigFiles struct {
	path string
	read []string // paths, the kubeconfig's first
	err  error
}

// resolve returns the path of a file named in the kubeconfig: relative ones are
// relative to the kubeconfig.
func (f *kubeconfigFiles) resolve(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(filepath.Dir(f.path), name)
}

// content returns the content of a key and its origin, for errors. Inline data is
// preferred to a file; nil if neither is set.
func (f *kubeconfigFiles) content(key, file, data string) (content []byte, origin string) {
	switch {
	case f.err != nil || file == "" && data == "":
		return nil, ""
	case data != "":
		content, err := base64.StdEncoding.DecodeString(data)
		if err != nil {
			f.err = fmt.Errorf("%s-data: %v", key, err)
		}
		return content, fmt.Sprintf("%s-data of %s", key, f.path)
	}
	f.read = append(f.read, f.resolve(file))
	content, err := os.ReadFile(f.resolve(file))
	if err != nil {
		f.err = fmt.Errorf("%s: %v", key, err)
	}
	return content, f.resolve(file)
}

// plugin returns how to run e for the cluster of a. A command with a slash is
// relative to the kubeconfig.
func (f *kubeconfigFiles) plugin(e *kubeconfigExec, a access) *execConfig {
	config := &execConfig{
		APIVersion: e.APIVersion,
		Command:    e.Command,
		Args:       e.Args,
		Hint:       firstLine(e.InstallHint),
	}
	if strings.Contains(e.Command, "/") {
		config.Command = f.resolve(e.Command)
	}
	for _, v := range e.Env {
		config.Env = append(config.Env, v.Name+"="+v.Value)
	}
	if e.ProvideCluster {
		config.Cluster = &execCluster{Server: a.server, TLSServerName: a.serverName, Insecure: a.insecure, CA: a.ca, ProxyURL: a.proxy}
	}
	return config
}
