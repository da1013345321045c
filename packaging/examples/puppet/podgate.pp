# podgate on an edge box with HAProxy. A podgate.toml that cannot be used is never
# put in place, and HAProxy is restarted by nobody but you: "podgate setup haproxy"
# tells when it has to be, once.
class profile::podgate (
  String            $config, # podgate.toml
  String            $ca,     # certificate authority of the API server, PEM
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

  # No notify: podgate takes a change of its files by itself.
  service { 'podgate':
    ensure  => running,
    enable  => true,
    require => [File['/etc/podgate/ca.crt', '/etc/podgate/token'], Exec['podgate setup haproxy']],
  }
}
