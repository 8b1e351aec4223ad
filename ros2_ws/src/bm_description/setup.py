from glob import glob

from setuptools import setup

PACKAGE = "bm_description"

setup(
    name=PACKAGE,
    version="0.1.0",
    packages=[PACKAGE],
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{PACKAGE}"]),
        (f"share/{PACKAGE}", ["package.xml", "README.md"]),
        (f"share/{PACKAGE}/launch", glob("launch/*.launch.py")),
    ],
    install_requires=["setuptools"],
    extras_require={"test": ["pytest"]},
    zip_safe=True,
    license="Apache-2.0",
    description="The Unitree G1 as URDF",
    entry_points={"console_scripts": ["urdf = bm_description.urdf_file:main"]},
)
