"""Find the address at which other hosts reach this one."""

import fcntl
import ipaddress
import os
import socket
import struct

_GET_ADDRESS = 0x8915  # SIOCGIFADDR of netdevice(7)
_NAME_LENGTH = 15


def own_address(address: str, port: int) -> tuple[str, str]:
    """Find the address of this host by which the other hosts of a run reach it.

    Args:
        address: MASTER_ADDR, where the processes meet.
        port: MASTER_PORT.

    Returns:
        The address and its interface: GLOO_SOCKET_IFNAME, else the one on the way to
        where the processes meet.

    Raises:
        ValueError: If there is no such interface, name or way.
    """
    if names := os.environ.get('GLOO_SOCKET_IFNAME'):
        interface = names.partition(',')[0]
        if own := address_of(interface):
            return own, interface
        known = ', '.join(name for _, name in socket.if_nameindex())
        raise ValueError(
            f'GLOO_SOCKET_IFNAME={names} is no interface with an address on host '
            f'{socket.gethostname()}: it has {known}'
        )
    try:
        return address_to(address, port)
    except OSError as error:
        raise ValueError(
            f'MASTER_ADDR={address} cannot be reached from host '
            f'{socket.gethostname()} ({error.strerror}): give the address of the first '
            'host in the network of the others'
        ) from None


def address_to(address: str, port: int) -> tuple[str, str]:
    """Find the own address and interface on the way to another host.

    Nothing is sent: the system says which way it would take.

    Args:
        address: Name or address of the other host, or of this one.
        port: Any port.

    Returns:
        The own address, and the interface that has it, empty if there is none.

    Raises:
        OSError: If the name is unknown, or there is no way.
    """
    family, kind, _, _, target = socket.getaddrinfo(
        address, port, type=socket.SOCK_DGRAM
    )[0]
    with socket.socket(family, kind) as probe:
        probe.connect(target)
        own = probe.getsockname()[0]
    names = (name for _, name in socket.if_nameindex())
    return own, next((name for name in names if address_of(name) == own), '')


def address_of(interface: str) -> str:
    """Return the IPv4 address of an interface; empty if there is none."""
    request = struct.pack('256s', interface[:_NAME_LENGTH].encode())
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            answer = fcntl.ioctl(probe.fileno(), _GET_ADDRESS, request)
        except OSError:
            return ''
    return socket.inet_ntoa(answer[20:24])


def is_loopback(address: str) -> bool:
    """Return whether an address is a loopback address."""
    return ipaddress.ip_address(address.partition('%')[0]).is_loopback
