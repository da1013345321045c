# Installs podgate on an edge node that runs HAProxy. Puppet does not install an invalid
# podgate.toml, and does not restart HAProxy: restart it once yourself, when "podgate
# setup haproxy" prints that this is necessary.
#
# Hiera returns the token as a String. With these lines in its data, Puppet converts it:
#
#   lookup_options:
#     profile::podgate::token:
#       convert_to: Sensitive
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

  # podgate re-reads its files when they change, so that no notify is necessary.
  service { 'podgate':
    ensure  => running,
    enable  => true,
    require => [File['/etc/podgate/ca.crt', '/etc/podgate/token'], Exec['podgate setup haproxy']],
  }
}
