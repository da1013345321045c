# podgate on an edge machine with HAProxy. An invalid podgate.toml is never installed.
# HAProxy is never restarted: "podgate setup haproxy" prints when you have to restart
# it, once.
class profile::podgate (
  String            $config, # podgate.toml
  String            $ca,     # CA certificate of the API server, PEM
  Sensitive[String] $token,  # of ServiceAccount podgate
) {
  package { 'podgate':
    ensure => installed,
  }

  file {
    default:
      ensure  => file,
      require => Package['podgate'],
    ;
    '/etc/podgate/ca.crt':
      content => $ca,
    ;
    '/etc/podgate/token':
      owner     => 'podgate',
      group     => 'podgate',
      mode      => '0600',
      content   => $token,
      show_diff => false,
    ;
    '/etc/podgate/podgate.toml':
      content      => $config,
      validate_cmd => '/usr/sbin/podgate check --config %',
    ;
  }

  exec { 'podgate setup haproxy':
    command => '/usr/sbin/podgate setup haproxy',
    unless  => '/usr/sbin/podgate setup haproxy --check',
    require => File['/etc/podgate/podgate.toml'],
  }

  # No notify: podgate re-reads its files when they change.
  service { 'podgate':
    ensure  => running,
    enable  => true,
    require => [File['/etc/podgate/ca.crt', '/etc/podgate/token'], Exec['podgate setup haproxy']],
  }
}
