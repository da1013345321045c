// SPDX-License-Identifier: Apache-2.0

package realapi

import (
	"os"
	"syscall"
	"time"
)

const (
	etcdURL = "http://127.0.0.1:2379"
	peerURL = "http://127.0.0.1:2380"
)

// StartEtcd starts etcd with the data of its last run, if any.
func (c *Cluster) StartEtcd(t TB) {
	t.Helper()
	c.etcd = StartProcess(c.t, c.folder, "etcd", c.binary, "etcd",
		"--data-dir="+c.file("etcd"),
		"--listen-client-urls="+etcdURL, "--advertise-client-urls="+etcdURL,
		"--listen-peer-urls="+peerURL, "--initial-advertise-peer-urls="+peerURL,
		"--initial-cluster=default="+peerURL,
		"--unsafe-no-fsync", "--log-level=warn")
}

// StopEtcd ends etcd like systemd.
func (c *Cluster) StopEtcd(t TB) {
	t.Helper()
	if err := c.etcd.Stop(syscall.SIGTERM, 20*time.Second); err != nil {
		t.Fatal(err)
	}
}

// Backup copies the data of etcd, while it is stopped, and returns the folder of the copy.
func (c *Cluster) Backup(t TB) string {
	t.Helper()
	copied := c.file("backup")
	if err := os.CopyFS(copied, os.DirFS(c.file("etcd"))); err != nil {
		t.Fatal(err)
	}
	return copied
}

// Restore replaces the data of etcd, while it is stopped, by a Backup.
func (c *Cluster) Restore(t TB, backup string) {
	t.Helper()
	if err := os.RemoveAll(c.file("etcd")); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(c.file("etcd"), os.DirFS(backup)); err != nil {
		t.Fatal(err)
	}
}
