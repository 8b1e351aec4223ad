from setuptools import setup

PACKAGE = "bm_guidance"

setup(
    name=PACKAGE,
    version="0.1.0",
    packages=[PACKAGE],
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{PACKAGE}"]),
        (f"share/{PACKAGE}", ["package.xml", "README.md"]),
    ],
    install_requires=["setuptools"],
    extras_require={"test": ["pytest"]},
    zip_safe=True,
    license="Apache-2.0",
    description="Operator input for the Unitree G1",
    entry_points={"console_scripts": ["guidance = bm_guidance.node:main", "operator = bm_guidance.operator:main"]},
)
