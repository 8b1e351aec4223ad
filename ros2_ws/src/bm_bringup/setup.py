from glob import glob

from setuptools import setup

PACKAGE = "bm_bringup"
# Shipped policies and clips are installed with the workspace, where bm_core.data finds them.
TREE = "../../.."

setup(
    name=PACKAGE,
    version="0.1.0",
    packages=[PACKAGE],
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{PACKAGE}"]),
        (f"share/{PACKAGE}", ["package.xml", "README.md"]),
        (f"share/{PACKAGE}/launch", glob("launch/*.launch.py")),
        (f"share/{PACKAGE}/config", glob("config/*.yaml")),
        (f"share/{PACKAGE}/config/joy", glob("config/joy/*.yaml")),
        (f"share/{PACKAGE}/rviz", glob("rviz/*.rviz")),
        (f"share/{PACKAGE}/foxglove", glob("foxglove/*.json")),
        (f"share/{PACKAGE}/policies", glob(f"{TREE}/policies/*.onnx")),
        (f"share/{PACKAGE}/motions", glob(f"{TREE}/motions/*.npz")),
        (f"share/{PACKAGE}/motions/motion_sets", glob(f"{TREE}/motions/motion_sets/*.yaml")),
    ],
    install_requires=["setuptools"],
    extras_require={"test": ["pytest"]},
    zip_safe=True,
    license="Apache-2.0",
    description="Launch files of BeyondMimic on the Unitree G1",
)
