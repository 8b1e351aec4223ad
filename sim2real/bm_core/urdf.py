"""The project's MJCF of the G1 as a URDF, for robot_state_publisher, RViz and every other tool of the ROS world.

Joints, inertias and limits are the same numbers; shapes are the MJCF's primitives. URDF has no capsule: it becomes a
cylinder and two spheres. Frames of REP-120 are added: base_link, the root, at the pelvis; l_sole and
r_sole under the feet.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from bm_core.errors import RobotError
from bm_core.g1 import FEET, G1, mjcf_path
from bm_core.rotations import matrix_from_quat, quat_normalize

Array = NDArray[np.floating]
Element = ElementTree.Element

_VISUAL, _COLLISION = ("visual",), ("collision", "sole")
_SOLE = "sole"
BASE_FRAME = "base_link"
"""Root of the URDF, at the pelvis."""
_IDENTITY = "1 0 0 0"
_GREY = "0.72 0.74 0.78 1"


def g1_urdf(path: Path | None = None) -> str:
    """The URDF as text, from `path` (default: the project's MJCF). RobotError for what URDF cannot say."""
    source = path or mjcf_path()
    root = ElementTree.parse(source).getroot().find("worldbody/body")
    if root is None:
        raise RobotError(f"{source.name}: no body; an MJCF of the G1 expected")
    robot = ElementTree.Element("robot", name=G1.name)
    material = ElementTree.SubElement(robot, "material", name="grey")
    ElementTree.SubElement(material, "color", rgba=_GREY)
    # A root without inertia: KDL, which robot_state_publisher uses, can hold none there.
    ElementTree.SubElement(robot, "link", name=BASE_FRAME)
    _add_body(robot, root, BASE_FRAME)
    for site in root.iter("site"):
        _add_frame(robot, site.get("name", ""), _owner(root, site), _numbers(site, "pos"))
    for foot, name in zip(FEET, ("l_sole", "r_sole"), strict=True):
        _add_frame(robot, name, foot, _sole_point(root, foot))
    ElementTree.indent(robot)
    return '<?xml version="1.0"?>\n' + ElementTree.tostring(robot, encoding="unicode") + "\n"


def _add_body(robot: Element, body: Element, parent: str) -> None:
    name = body.get("name", "")
    link = ElementTree.SubElement(robot, "link", name=name)
    _add_inertial(link, body)
    for geom in body.findall("geom"):
        tag = "visual" if geom.get("class") in _VISUAL else "collision" if geom.get("class") in _COLLISION else None
        if tag is None:
            raise RobotError(f"{name}: a shape of class {geom.get('class')}; visual, collision or sole expected")
        for origin, shape in _shapes(geom):
            element = ElementTree.SubElement(link, tag)
            element.append(origin)
            ElementTree.SubElement(element, "geometry").append(shape)
            if tag == "visual":
                ElementTree.SubElement(element, "material", name="grey")
    if parent == BASE_FRAME:
        _fix(robot, name, parent, np.zeros(3))
    else:
        _add_joint(robot, body, parent)
    for child in body.findall("body"):
        _add_body(robot, child, name)


def _add_inertial(link: Element, body: Element) -> None:
    given = body.find("inertial")
    if given is None:
        raise RobotError(f"{link.get('name')}: no inertial")
    inertial = ElementTree.SubElement(link, "inertial")
    inertial.append(_origin(_numbers(given, "pos"), matrix_from_quat(_quat(given))))
    ElementTree.SubElement(inertial, "mass", value=given.get("mass", ""))
    ixx, iyy, izz = (given.get("diaginertia", "").split() + [""] * 3)[:3]
    ElementTree.SubElement(inertial, "inertia", ixx=ixx, iyy=iyy, izz=izz, ixy="0", ixz="0", iyz="0")


def _add_joint(robot: Element, body: Element, parent: str) -> None:
    hinge = body.find("joint")
    if hinge is None:
        raise RobotError(f"{body.get('name')}: no hinge")
    spec = G1.joint(hinge.get("name", ""))
    joint = ElementTree.SubElement(robot, "joint", name=spec.name, type="revolute")
    joint.append(_origin(_numbers(body, "pos"), matrix_from_quat(_quat(body))))
    ElementTree.SubElement(joint, "parent", link=parent)
    ElementTree.SubElement(joint, "child", link=body.get("name", ""))
    ElementTree.SubElement(joint, "axis", xyz=hinge.get("axis", "0 0 1"))
    limit = {"lower": spec.lower, "upper": spec.upper, "effort": spec.effort, "velocity": spec.velocity}
    ElementTree.SubElement(joint, "limit", {key: _text(value) for key, value in limit.items()})


def _add_frame(robot: Element, name: str, parent: str, pos: Array) -> None:
    ElementTree.SubElement(robot, "link", name=name)
    _fix(robot, name, parent, pos)


def _fix(robot: Element, name: str, parent: str, pos: Array) -> None:
    joint = ElementTree.SubElement(robot, "joint", name=f"{name}_frame", type="fixed")
    joint.append(_origin(pos, np.eye(3)))
    ElementTree.SubElement(joint, "parent", link=parent)
    ElementTree.SubElement(joint, "child", link=name)


def _shapes(geom: Element) -> Iterator[tuple[Element, Element]]:
    """(origin, geometry) of each URDF shape that stands for one MJCF geom."""
    kind, size = geom.get("type"), _numbers(geom, "size")
    if kind == "sphere":
        yield _sphere(_numbers(geom, "pos"), size[0])
    elif kind == "box":
        box = ElementTree.Element("box", size=_text(*(2.0 * size)))
        yield _origin(_numbers(geom, "pos"), matrix_from_quat(_quat(geom))), box
    elif kind == "capsule" and geom.get("fromto"):
        ends = _numbers(geom, "fromto").reshape(2, 3)
        length = float(np.linalg.norm(ends[1] - ends[0]))
        cylinder = ElementTree.Element("cylinder", radius=_text(size[0]), length=_text(length))
        yield _origin(ends.mean(axis=0), _z_towards(ends[1] - ends[0])), cylinder
        for end in ends:
            yield _sphere(end, size[0])
    else:
        raise RobotError(f"{geom.get('name')}: a {kind} cannot be written; sphere, box or capsule with fromto expected")


def _sphere(pos: Array, radius: float) -> tuple[Element, Element]:
    return _origin(pos, np.eye(3)), ElementTree.Element("sphere", radius=_text(radius))


def _origin(pos: Array, matrix: Array) -> Element:
    return ElementTree.Element("origin", xyz=_text(*pos), rpy=_text(*_rpy(matrix)))


def _rpy(matrix: Array) -> tuple[float, float, float]:
    """Roll, pitch, yaw with matrix = Rz(yaw) Ry(pitch) Rx(roll)."""
    pitch = math.asin(max(-1.0, min(1.0, -matrix[2, 0])))
    if abs(matrix[2, 0]) > 1.0 - 1e-12:  # roll and yaw turn about the same axis: give all of it to yaw
        return 0.0, pitch, math.atan2(-matrix[0, 1], matrix[1, 1])
    return math.atan2(matrix[2, 1], matrix[2, 2]), pitch, math.atan2(matrix[1, 0], matrix[0, 0])


def _z_towards(direction: Array) -> Array:
    """A rotation matrix whose z axis has this direction."""
    z = direction / np.linalg.norm(direction)
    x = np.cross(np.eye(3)[int(np.argmin(np.abs(z)))], z)
    x /= np.linalg.norm(x)
    return np.stack([x, np.cross(z, x), z], axis=1)


def _sole_point(root: Element, foot: str) -> Array:
    """Middle of the foot's sole shapes, on the plane that they stand on, in the foot's frame."""
    body = next(element for element in root.iter("body") if element.get("name") == foot)
    soles = [geom for geom in body.findall("geom") if geom.get("class") == _SOLE]
    points = np.concatenate([_numbers(geom, "fromto").reshape(2, 3) for geom in soles])
    radius = float(_numbers(soles[0], "size")[0])
    middle = 0.5 * (points.min(axis=0) + points.max(axis=0))
    return np.array([middle[0], middle[1], points[:, 2].min() - radius])


def _owner(root: Element, site: Element) -> str:
    return next(body.get("name", "") for body in root.iter("body") if site in list(body))


def _quat(element: Element) -> Array:
    return quat_normalize(np.array([float(part) for part in element.get("quat", _IDENTITY).split()]))


def _numbers(element: Element, attribute: str) -> Array:
    return np.array([float(part) for part in element.get(attribute, "0 0 0").split()])


def _text(*values: float) -> str:
    return " ".join(format(float(value), ".12g") for value in values)
